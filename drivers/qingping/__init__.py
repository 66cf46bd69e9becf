"""Qingping (Cleargrass) sensors that broadcast in the maker's own format.

Service data under 0xFDCD (layout: the Qingping parser of custom-components/ble_monitor), little-endian:

    flags | product | address reversed, 6 bytes | objects: id, length, value ...

- 01 temperature i16 0.1 Cel, humidity u16 0.1 %    - 09 illuminance u32 lx    - 12 PM2.5 u16, PM10 u16 ug/m3
- 02 battery u8 %    - 0F packet id u8                - 11 light u8              - 13 CO2 u16 ppm
- 07 pressure u16 0.1 hPa    - 08 motion u8, illuminance u24 lx

An unknown object is passed over by its length. A sensor that is paired with the Xiaomi app speaks MiBeacon.
"""

import struct
from collections.abc import Callable, Iterator, Sequence

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
    service,
)

_SERVICE = service(0xFDCD)
_HEAD = 8
_TWO, _AIR = struct.Struct("<HH"), struct.Struct("<hH")


class QingpingSettings(BeaconSettings):
    """The device."""


def _word(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _air(value: bytes) -> list[Sample]:
    temperature, humidity = _AIR.unpack(value)
    return [Sample("temperature", temperature / 10), Sample("humidity", humidity / 10)]


def _dust(value: bytes) -> list[Sample]:
    fine, coarse = _TWO.unpack(value)
    return [Sample("pm2_5", fine), Sample("pm10", coarse)]


_OBJECTS: dict[tuple[int, int], Callable[[bytes], list[Sample]]] = {
    (0x01, 4): _air,
    (0x02, 1): lambda value: [Sample("battery", value[0])],
    (0x07, 2): lambda value: [Sample("pressure", _word(value) / 10)],
    (0x08, 4): lambda value: [Sample("motion", bool(value[0])), Sample("illuminance", _word(value[1:]))],
    (0x09, 4): lambda value: [Sample("illuminance", _word(value))],
    (0x11, 1): lambda value: [Sample("light", bool(value[0]))],
    (0x12, 4): _dust,
    (0x13, 2): lambda value: [Sample("co2", _word(value))],
}
"""By id and length."""


class Qingping:
    """A sensor. Which channels it has depends on the product."""

    channels: Sequence[Channel] = (
        Channel("temperature", Quantity.TEMPERATURE, "Temperature", optional=True),
        Channel("humidity", Quantity.HUMIDITY, "Relative humidity", optional=True),
        Channel("battery", Quantity.BATTERY, "Battery", optional=True),
        Channel("pressure", Quantity.PRESSURE, "Air pressure", optional=True),
        Channel("motion", Quantity.MOTION, "Motion", optional=True, momentary=True),
        Channel("illuminance", Quantity.ILLUMINANCE, "Illuminance", optional=True),
        Channel("light", Quantity.FLAG, "It is light", optional=True),
        Channel("pm2_5", Quantity.PM2_5, "Fine dust", optional=True),
        Channel("pm10", Quantity.PM10, "Coarse dust", optional=True),
        Channel("co2", Quantity.CO2, "Carbon dioxide", optional=True),
    )

    def __init__(self, settings: QingpingSettings) -> None:
        pass

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        said = frame.service_data.get(_SERVICE)
        if said is None:
            raise NotMine
        if len(said) < _HEAD:
            raise Garbled(f"{len(said)} bytes, expected at least {_HEAD}")
        known = [(_OBJECTS[of], value) for of, value in _objects(said[_HEAD:]) if of in _OBJECTS]
        found = {sample.channel: sample for decoded, value in known for sample in decoded(value)}
        if not found:
            raise NotMine("no measurement")
        return list(found.values())


def _objects(body: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    while at + 2 <= len(body):
        id_, size = body[at], body[at + 1]
        value = body[at + 2 : at + 2 + size]
        if len(value) < size:
            raise Garbled(f"object {id_:02x} has {len(value)} bytes, expected {size}")
        yield (id_, size), value
        at += 2 + size


driver = Driver(
    title="Qingping sensor",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=QingpingSettings,
    open=Qingping,
    broadcast=Broadcast(services=(_SERVICE,)),
)
