"""Govee thermometers and hygrometers.

Manufacturer data (layouts: the parser of govee-ble 1.5.2), by company and length:

    EC88  6 bytes  00 | packed u24 | battery | 00                        H5072, H5075
    EC88  7 bytes  00 | t i16 0.01 Cel | h u16 0.01 % | battery | 02     H5074, H5174 (little-endian)
    EC88  9 bytes  00 | t | h as above | battery | ...                   H5051, H5052, H5071
    0001  6 bytes  01 01 | packed u24 | battery                          H5100 to H5105, H5110, H5174, H5177
    8801  9 bytes  .. .. .. .. | t | h | battery                         H5179

packed: bit 23 the sign of the temperature; below it 10000 times degrees and, in the last three digits, 10
times percent. battery: bit 7 says that the sensor fails. The device also sends an iBeacon (INTELLI_ROCKS),
which is no measurement.
"""

import struct
from collections.abc import Callable, Sequence

from edge_agent.driver import (
    Advertisement,
    BeaconSettings,
    Broadcast,
    Channel,
    Driver,
    Implausible,
    NotMine,
    Over,
    Quantity,
    Sample,
)

_GOVEE, _H5100, _H5179 = 0xEC88, 0x0001, 0x8801
_H5100_MARK = b"\x01\x01"
_PLAIN = struct.Struct("<hHB")
_NEGATIVE, _FAILS = 0x80_0000, 0x80


class GoveeSettings(BeaconSettings):
    """The device."""


class Govee:
    """A thermometer and hygrometer."""

    channels: Sequence[Channel] = (
        Channel("temperature", Quantity.TEMPERATURE, "Temperature"),
        Channel("humidity", Quantity.HUMIDITY, "Relative humidity"),
        Channel("battery", Quantity.BATTERY, "Battery"),
    )

    def __init__(self, settings: GoveeSettings) -> None:
        pass

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        for company, said in frame.manufacturer_data.items():
            decoded = _LAYOUTS.get((company, len(said)))
            if decoded is not None:
                return decoded(said)
        raise NotMine


def _packed(said: bytes) -> list[Sample]:
    number, battery = int.from_bytes(said[:3]), said[3]
    if battery & _FAILS:
        raise Implausible("it says that its sensor fails; try another battery, then another device")
    tenths, per_mille = divmod(number & ~_NEGATIVE, 1000)
    return [
        Sample("temperature", (-tenths if number & _NEGATIVE else tenths) / 10),
        Sample("humidity", per_mille / 10),
        Sample("battery", battery),
    ]


def _marked(said: bytes) -> list[Sample]:
    if not said.startswith(_H5100_MARK):
        raise NotMine("another device of company 0001")
    return _packed(said[2:])


def _plain(said: bytes) -> list[Sample]:
    temperature, humidity, battery = _PLAIN.unpack(said)
    return [
        Sample("temperature", temperature / 100),
        Sample("humidity", humidity / 100),
        Sample("battery", battery),
    ]


_LAYOUTS: dict[tuple[int, int], Callable[[bytes], list[Sample]]] = {
    (_GOVEE, 6): lambda said: _packed(said[1:5]),
    (_GOVEE, 7): lambda said: _plain(said[1:6]),
    (_GOVEE, 9): lambda said: _plain(said[1:6]),
    (_H5100, 6): _marked,
    (_H5179, 9): lambda said: _plain(said[4:9]),
}
"""By company and length."""


driver = Driver(
    title="Govee thermometer and hygrometer",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=GoveeSettings,
    open=Govee,
    broadcast=Broadcast(companies=(_GOVEE, _H5100, _H5179), active=True),
)
