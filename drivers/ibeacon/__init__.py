"""iBeacon: a tag on a thing, which says which one it is and is here while it is heard.

Manufacturer data of 0x004C (Apple, "Proximity Beacon Specification", release R1):

    02 15 | UUID, 16 bytes | major u16 | minor u16 | power at 1 m, i8 dBm     (big-endian)
"""

import struct
import uuid
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from edge_agent.driver import (
    Advertisement,
    Broadcast,
    Channel,
    Driver,
    Garbled,
    NotMine,
    Over,
    Quantity,
    Sample,
    Settings,
)

_COMPANY = 0x004C
_BEACON = struct.Struct(">2s16sHHb")
_MARK = b"\x02\x15"


def _owner(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        example = "e2c56db5-dffb-48d2-b060-d0f5a71096e0"
        raise ValueError(f"{text!r} is no UUID; write its 32 hex digits, such as {example}") from None


class IBeaconSettings(Settings):
    """Which tag it is. Tags are for things: whoever carries one must have agreed to be tracked."""

    uuid: Annotated[str, AfterValidator(_owner)] = Field(description="The owner's UUID.")
    major: int | None = Field(None, ge=0, le=65535, description="The group. Not set: any.")
    minor: int | None = Field(None, ge=0, le=65535, description="The tag in it. Not set: any.")


class IBeacon:
    """One tag, or any tag of an owner or a group."""

    channels: Sequence[Channel] = (
        Channel("occupancy", Quantity.OCCUPANCY, "The tag is here", momentary=True),
        Channel("major", Quantity.COUNT, "Group of the tag"),
        Channel("minor", Quantity.COUNT, "Number of the tag"),
        Channel("measured_power", Quantity.SIGNAL, "Signal strength at 1 m, as the tag says"),
    )

    def __init__(self, settings: IBeaconSettings) -> None:
        self._uuid = uuid.UUID(settings.uuid).bytes
        self._major, self._minor = settings.major, settings.minor

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        said = frame.manufacturer_data.get(_COMPANY, b"")
        if said[:2] != _MARK:
            raise NotMine
        if len(said) != _BEACON.size:
            raise Garbled(f"{len(said)} bytes, expected {_BEACON.size}")
        _, owner, major, minor, power = _BEACON.unpack(said)
        if owner != self._uuid or self._major not in {None, major} or self._minor not in {None, minor}:
            raise NotMine
        return [
            Sample("occupancy", True),
            Sample("major", major),
            Sample("minor", minor),
            Sample("measured_power", power),
        ]


driver = Driver(
    title="iBeacon tag",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=IBeaconSettings,
    open=IBeacon,
    broadcast=Broadcast(companies=(_COMPANY,), repeats=True),
)
