"""Devices with the Environmental Sensing service, which are connected to and read.

Characteristics (Bluetooth SIG, "GATT Specification Supplement", and "Assigned Numbers", 3.8), little-endian:

    2A6E temperature i16 0.01 Cel, 8000 not known  | 2A6F humidity u16 0.01 %, FFFF not known
    2A6D pressure u32 0.1 Pa                       | 2A19 battery u8 %, of the Battery service

A device has some of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from edge_agent.driver import (
    BeaconSettings,
    Channel,
    Driver,
    Garbled,
    Gatt,
    NotMine,
    Over,
    Quantity,
    Refused,
    Sample,
    service,
)


class _Characteristic(NamedTuple):
    channel: str
    size: int
    signed: bool
    per: int  # how many steps are one of the quantity's unit
    unknown: int | None


_KNOWN = {
    service(0x2A6E): _Characteristic("temperature", 2, True, 100, -0x8000),
    service(0x2A6F): _Characteristic("humidity", 2, False, 100, 0xFFFF),
    service(0x2A6D): _Characteristic("pressure", 4, False, 1000, None),
    service(0x2A19): _Characteristic("battery", 1, False, 1, None),
}


class ESSSettings(BeaconSettings):
    """The device."""


class ESS:
    """One device, which is asked for all that there may be."""

    channels: Sequence[Channel] = (
        Channel("temperature", Quantity.TEMPERATURE, "Temperature", optional=True),
        Channel("humidity", Quantity.HUMIDITY, "Relative humidity", optional=True),
        Channel("pressure", Quantity.PRESSURE, "Air pressure", optional=True),
        Channel("battery", Quantity.BATTERY, "Battery", optional=True),
    )

    def __init__(self, settings: ESSSettings) -> None:
        pass

    async def poll(self, line: Gatt) -> Sequence[Sample]:
        """Read every characteristic that it has."""
        samples: list[Sample] = []
        for uuid in _KNOWN:
            try:
                value = await line.read(uuid)
            except Refused:
                continue  # it has no such sensor
            samples += self.decode(value, uuid)
        if not samples:
            raise Refused("it has none of the characteristics 2A6E, 2A6F, 2A6D and 2A19 to be read")
        return samples

    def decode(self, frame: bytes, request: str) -> Sequence[Sample]:
        """Turn the value of a characteristic into a sample, given its UUID."""
        known = _KNOWN.get(request)
        if known is None:
            raise NotMine
        if len(frame) != known.size:
            raise Garbled(f"{known.channel} has {len(frame)} bytes, expected {known.size}")
        number = int.from_bytes(frame, "little", signed=known.signed)
        if number == known.unknown:
            return [Sample(known.channel, None)]
        return [Sample(known.channel, number / known.per if known.per > 1 else number)]


driver = Driver(
    title="Device with Environmental Sensing",
    home=__name__,
    over=Over.GATT,
    settings=ESSSettings,
    open=ESS,
)
