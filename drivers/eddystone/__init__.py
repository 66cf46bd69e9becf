"""Eddystone: a tag on a thing, which says which one it is (UID) and how it does (TLM).

Service data under 0xFEAA (google/eddystone, eddystone-uid and eddystone-tlm, big-endian):

    UID: 00 | power at 0 m, i8 dBm | namespace, 10 bytes | instance, 6 bytes | reserved
    TLM: 20 | version 00 | battery u16 mV, 0 unknown | t i16 1/256 Cel, 8000 unknown | packets u32
         | time u32 0.1 s

A TLM does not say whose it is: it is taken from the address that was last heard as this tag.
"""

import struct
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

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
    form,
    service,
)

_SERVICE = service(0xFEAA)
_UID, _TLM = struct.Struct(">xb10s6s"), struct.Struct(">xxHhII")
_UNKNOWN = -0x8000


class EddystoneSettings(Settings):
    """Which tag it is. Tags are for things: whoever carries one must have agreed to be tracked."""

    namespace: Annotated[str, form(r"[0-9A-Fa-f]{20}", "is no namespace; write its 20 hex digits")] = Field(
        description="The owner's namespace, 20 hex digits."
    )
    instance: Annotated[str, form(r"[0-9A-Fa-f]{12}", "is no instance; write its 12 hex digits")] = Field(
        description="The tag in it, 12 hex digits."
    )


class Eddystone:
    """One tag. It remembers the address it was last heard from."""

    channels: Sequence[Channel] = (
        Channel("occupancy", Quantity.OCCUPANCY, "The tag is here", momentary=True),
        Channel("measured_power", Quantity.SIGNAL, "Signal strength at 0 m, as the tag says", optional=True),
        Channel("battery_voltage", Quantity.BATTERY_VOLTAGE, "Battery voltage", optional=True),
        Channel("temperature", Quantity.TEMPERATURE, "Temperature of the tag", optional=True),
    )

    def __init__(self, settings: EddystoneSettings) -> None:
        self._owner, self._tag = bytes.fromhex(settings.namespace), bytes.fromhex(settings.instance)
        self._address = ""

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        said = frame.service_data.get(_SERVICE)
        if said is None:
            raise NotMine
        match said[:1]:
            case b"\x00":
                return self._uid(said, frame.address)
            case b"\x20" if frame.address and frame.address == self._address:
                return _telemetry(said)
            case _:
                raise NotMine

    def _uid(self, said: bytes, address: str) -> list[Sample]:
        if len(said) < _UID.size:
            raise Garbled(f"a UID of {len(said)} bytes, expected {_UID.size} or 20")
        power, owner, tag = _UID.unpack_from(said)
        if (owner, tag) != (self._owner, self._tag):
            raise NotMine
        self._address = address
        return [Sample("occupancy", True), Sample("measured_power", power)]


def _telemetry(said: bytes) -> list[Sample]:
    if len(said) != _TLM.size:
        raise Garbled(f"a TLM of {len(said)} bytes, expected {_TLM.size}")
    millivolts, temperature, _, _ = _TLM.unpack(said)
    return [
        Sample("occupancy", True),
        Sample("battery_voltage", millivolts / 1000 if millivolts else None),
        Sample("temperature", None if temperature == _UNKNOWN else round(temperature / 256, 2)),
    ]


driver = Driver(
    title="Eddystone tag",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=EddystoneSettings,
    open=Eddystone,
    broadcast=Broadcast(services=(_SERVICE,), repeats=True),
)
