"""A contact, or a PIR with a switched output: a level at a modem line or at a GPIO pin.

The bus says ``1`` while the line is active and ``0`` while it is not (``edge_agent/bus/levels.py``). At a
modem line active is a positive voltage (RS-232), or 0 V behind a TTL adapter; at a pin it is high.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from edge_agent.driver import (
    Channel,
    Driver,
    Frame,
    Garbled,
    Need,
    Over,
    Probe,
    Quantity,
    Sample,
    Settings,
    Skip,
)

_LEVELS = {b"0": False, b"1": True}
_CHANNELS = {
    "contact": Channel("contact", Quantity.CONTACT, "Contact open"),
    "motion": Channel("motion", Quantity.MOTION, "Motion"),
    "occupancy": Channel("occupancy", Quantity.OCCUPANCY, "Occupied"),
}


class ContactSettings(Settings):
    """What the level means."""

    kind: Literal["contact", "motion", "occupancy"] = Field(
        default="contact", description="What is reported: `contact` (true is open), `motion` or `occupancy`."
    )
    inverted: bool = Field(default=False, description="True while the line is not active.")


class Contact:
    """One state: whether the line is active, or is not."""

    def __init__(self, settings: ContactSettings) -> None:
        self._inverted = settings.inverted
        self.channels: Sequence[Channel] = (_CHANNELS[settings.kind],)

    def decode(self, frame: bytes) -> Sequence[Sample]:
        """Turn a level into a sample."""
        level = _LEVELS.get(frame)
        if level is None:
            raise Garbled(f"{frame[:8].hex(' ') or 'nothing'}, expected a level of 30 or 31")
        return [Sample(self.channels[0].name, level is not self._inverted)]


def cut(heard: bytes) -> Frame | Need | Skip:
    """Find a level: each is one byte."""
    return Frame(1) if heard[:1] in _LEVELS else Skip(1)


driver = Driver(
    title="Contact or PIR",
    home=__name__,
    over=Over.STREAM,
    settings=ContactSettings,
    open=Contact,
    cut=cut,
    probe=Probe(candidates=lambda _: ()),  # it says nothing on a serial line that a scan could hear
)
