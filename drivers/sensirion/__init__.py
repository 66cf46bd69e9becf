"""Sensirion gadgets: SHT4x and SHT3x demonstrators.

Manufacturer data of 0x06D5 (Sensirion, "BLE protocol of the MyAmbience gadgets", type table checked against
custom-components/ble_monitor):

    00 | sample type | device id, 2 bytes | t u16 ticks | h u16 ticks     (little-endian)

Temperature is -45 + 175 t / 65535 (SHT4x and SHT3x data sheets). Humidity is -6 + 125 h / 65535 for the SHT4x
(type 6), 100 h / 65535 for the SHT3x (type 4).
"""

import struct
from collections.abc import Sequence

from edge_agent.driver import (
    Advertisement,
    BeaconSettings,
    Broadcast,
    Channel,
    Driver,
    Garbled,
    NotMine,
    Over,
    Quantity,
    Sample,
)

_COMPANY = 0x06D5
_TICKS = struct.Struct("<HH")
_AT, _FULL = 4, 65535
_SHT3X, _SHT4X = 4, 6


class SensirionSettings(BeaconSettings):
    """The device."""


class Sensirion:
    """A thermometer and hygrometer."""

    channels: Sequence[Channel] = (
        Channel("temperature", Quantity.TEMPERATURE, "Temperature"),
        Channel("humidity", Quantity.HUMIDITY, "Relative humidity"),
    )

    def __init__(self, settings: SensirionSettings) -> None:
        pass

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        said = frame.manufacturer_data.get(_COMPANY)
        if said is None:
            raise NotMine
        if len(said) < _AT + _TICKS.size or said[0] != 0:
            raise Garbled(f"{len(said)} bytes that begin with {said[:1].hex() or 'nothing'}")
        if said[1] not in {_SHT3X, _SHT4X}:
            raise NotMine(f"sample type {said[1]}; known are {_SHT3X} and {_SHT4X}")
        temperature, humidity = _TICKS.unpack_from(said, _AT)
        wet = -6 + 125 * humidity / _FULL if said[1] == _SHT4X else 100 * humidity / _FULL
        return [
            Sample("temperature", round(-45 + 175 * temperature / _FULL, 2)),
            Sample("humidity", round(min(max(wet, 0.0), 100.0), 2)),
        ]


driver = Driver(
    title="Sensirion SHT4x and SHT3x gadget",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=SensirionSettings,
    open=Sensirion,
    broadcast=Broadcast(companies=(_COMPANY,)),
)
