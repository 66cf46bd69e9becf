"""HLK-LD2450 radar: up to three people and where they are, about ten reports a second.

HLK-LD2450 serial protocol V1.03, 2.3. All numbers are little-endian, and a report has always 30 bytes:

    AA FF 03 00 | x, 2 | y, 2 | speed, 2 | resolution, 2 | target 2, 8 | target 3, 8 | 55 CC

- x, y: mm; speed: cm/s; resolution: mm. In the first three bit 15 is the sign, and 1 means positive;
  they are no two's complement.
- a slot of zeros has no target in it

Commands and acknowledgements share the line, in the envelope of the LD2410. There is no checksum, and the
tail may stand inside a report: it is parsed by its length.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from drivers.ld24xx import envelope, orders
from drivers.ld24xx.ld2450.zones import Polygon, inside
from edge_agent.driver import (
    Channel,
    Driver,
    Frame,
    Garbled,
    Line,
    Need,
    Over,
    Quantity,
    Sample,
    Settings,
    Skip,
    form,
)

_FACTORY: orders.Baud = 256000
_HEADER, _TAIL = bytes.fromhex("AAFF0300"), bytes.fromhex("55CC")
_SIZE = 30
_SLOT = struct.Struct("<4H")
_POSITIVE = 0x8000

_CHANNELS = (
    Channel("target_count", Quantity.COUNT, "People seen"),
    Channel("occupancy", Quantity.OCCUPANCY, "Occupied"),
    *(
        channel
        for slot in (1, 2, 3)
        for channel in (
            Channel(f"target{slot}_x", Quantity.POSITION_X, f"Target {slot}, to the side", optional=True),
            Channel(f"target{slot}_y", Quantity.POSITION_Y, f"Target {slot}, ahead", optional=True),
            Channel(f"target{slot}_speed", Quantity.SPEED, f"Speed of target {slot}", optional=True),
            Channel(f"target{slot}_resolution", Quantity.DISTANCE, f"Grid of target {slot}", optional=True),
        )
    ),
)

ZoneName = Annotated[
    str, form(r"[a-z][a-z0-9_]{0,30}", "is no name of a zone; write small letters, digits and _, at most 31")
]


class TrackerSettings(Settings):
    """What is where in the radar's view, and what the radar is told at start."""

    zones: Annotated[Mapping[ZoneName, Polygon], Field(max_length=16)] = Field(
        default={},
        description="Polygons by name, with corners `[x, y]` in metres as the radar sees them; each gets "
        "channels for how many are in it.",
    )
    baud: orders.Baud = Field(default=_FACTORY, description="How fast the module speaks.")
    set_up: bool = Field(
        default=False, description="Whenever the port opens, set the module's speed to `baud`."
    )


class Tracker:
    """People, where they are, and how many are in each zone."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._zones = settings.zones
        self.channels: Sequence[Channel] = (
            *_CHANNELS,
            *(Channel(f"target_count_{name}", Quantity.COUNT, f"People in {name}") for name in self._zones),
            *(Channel(f"occupancy_{name}", Quantity.OCCUPANCY, f"Occupied: {name}") for name in self._zones),
        )

    def decode(self, frame: bytes) -> Sequence[Sample]:
        """Turn one report into samples, in metres; an empty slot gives none. Acknowledgements are NotMine."""
        if not frame.startswith(_HEADER):
            envelope.report(frame)
            raise Garbled("a report of another model")
        if len(frame) != _SIZE:
            raise Garbled(f"{len(frame)} bytes, expected {_SIZE}")
        if not frame.endswith(_TAIL):
            raise Garbled(f"ends with {frame[-2:].hex(' ')}, expected 55 cc")
        targets = dict(_targets(frame))
        samples = [Sample("target_count", len(targets)), Sample("occupancy", bool(targets))]
        for slot, (x, y, speed, resolution) in targets.items():
            samples += [
                Sample(f"target{slot}_x", x),
                Sample(f"target{slot}_y", y),
                Sample(f"target{slot}_speed", speed),
                Sample(f"target{slot}_resolution", resolution),
            ]
        for name, zone in self._zones.items():
            there = sum(inside(zone, (x, y)) for x, y, _, _ in targets.values())
            samples += [Sample(f"target_count_{name}", there), Sample(f"occupancy_{name}", there > 0)]
        return samples


def _targets(frame: bytes) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    """Yield the slots that have a target: x, y and resolution in m, speed in m/s."""
    for slot, words in enumerate(_SLOT.iter_unpack(frame[4:-2]), 1):
        if any(words):
            x, y, speed, resolution = words
            yield slot, (_signed(x) / 1000, _signed(y) / 1000, _signed(speed) / 100, resolution / 1000)


def _signed(word: int) -> int:
    return word - _POSITIVE if word & _POSITIVE else -word


def cut(heard: bytes) -> Frame | Need | Skip:
    """Find a report, a command or an acknowledgement in the bytes so far.

    The tail belongs to a report. A header does not stand inside one: it would be a position some 10 m off or
    more, where this radar sees nothing. So what begins there lost its rest, and another begins.
    """
    start = envelope.beginning(heard, (_HEADER, envelope.CONFIGURATION))
    if start:
        return Skip(start)
    if heard[0] != _HEADER[0]:
        return envelope.cut(heard)
    if len(heard) < _SIZE:
        return Need(_SIZE)
    whole = heard[:_SIZE].endswith(_TAIL) and _HEADER not in heard[1:_SIZE]
    return Frame(_SIZE) if whole else Skip(1)


async def _set_up(settings: TrackerSettings, line: Line) -> None:
    if settings.set_up:
        await orders.set_up(line, baud=settings.baud, factory=_FACTORY)


driver = Driver(
    title="HLK-LD2450 tracking radar",
    home=__name__,
    over=Over.STREAM,
    settings=TrackerSettings,
    open=Tracker,
    serial=lambda settings: f"{settings.baud} 8N1",
    cut=cut,
    setup=_set_up,
)
