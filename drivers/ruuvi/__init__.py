"""RuuviTag and Ruuvi Air.

Manufacturer data of 0x0499, big-endian (docs.ruuvi.com, "Data format 5 (RAWv2)" and "Data format 6"):

    5: t i16 0.005 Cel | h u16 0.0025 % | p u16 Pa, from 50000 | x y z i16 mG
       | power u16: 11 bits mV from 1600, 5 bits 2 dBm from -40 | movements u8 | sequence u16 | address
    6: t | h | p as above | PM2.5 u16 0.1 ug/m3 | CO2 u16 ppm | VOC u8 | NOx u8 | light u8 | reserved
       | sequence u8 | flags: 0 calibrating, 6 the lowest bit of VOC, 7 of NOx | end of the address, 3 bytes

The highest (unsigned) or lowest (signed) number of a field says that the value is not known.
"""

import math
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

_COMPANY = 0x0499
_FIVE, _SIX = struct.Struct(">BhHHhhhHBH6s"), struct.Struct(">BhHHHHBBBBBB3s")
_UNKNOWN_SIGNED, _UNKNOWN_BYTE, _UNKNOWN_WORD = -0x8000, 0xFF, 0xFFFF
_UNKNOWN_VOLTAGE, _UNKNOWN_POWER, _UNKNOWN_INDEX = 0x7FF, 0x1F, 0x1FF
_GRAVITY = 9.80665  # m/s2
_LIGHT_STEP = math.log(65536) / 254  # luminosity is sent as a logarithm


class RuuviSettings(BeaconSettings):
    """The device."""


class Ruuvi:
    """A tag or an air quality sensor. Which channels it has depends on which of the two it is."""

    channels: Sequence[Channel] = (
        Channel("temperature", Quantity.TEMPERATURE, "Temperature"),
        Channel("humidity", Quantity.HUMIDITY, "Relative humidity"),
        Channel("pressure", Quantity.PRESSURE, "Air pressure"),
        Channel("acceleration_x", Quantity.ACCELERATION, "Acceleration, x", optional=True),
        Channel("acceleration_y", Quantity.ACCELERATION, "Acceleration, y", optional=True),
        Channel("acceleration_z", Quantity.ACCELERATION, "Acceleration, z", optional=True),
        Channel("battery_voltage", Quantity.BATTERY_VOLTAGE, "Battery voltage", optional=True),
        Channel("tx_power", Quantity.SIGNAL, "Transmission power", optional=True),
        Channel("movement_counter", Quantity.COUNT, "Movements, 0 to 254", optional=True),
        Channel("sequence", Quantity.COUNT, "Number of the measurement", optional=True),
        Channel("pm2_5", Quantity.PM2_5, "Fine dust", optional=True),
        Channel("co2", Quantity.CO2, "Carbon dioxide", optional=True),
        Channel("voc", Quantity.INDEX, "Index of volatile organic compounds", optional=True),
        Channel("nox", Quantity.INDEX, "Index of nitrogen oxides", optional=True),
        Channel("illuminance", Quantity.ILLUMINANCE, "Illuminance", optional=True),
        Channel("calibrating", Quantity.FLAG, "Still calibrating", optional=True),
    )

    def __init__(self, settings: RuuviSettings) -> None:
        pass

    def decode(self, frame: Advertisement) -> Sequence[Sample]:
        """Turn one advertisement into samples."""
        said = frame.manufacturer_data.get(_COMPANY)
        if said is None:
            raise NotMine
        match said[:1]:
            case b"\x05" if len(said) == _FIVE.size:
                return _five(said)
            case b"\x06" if len(said) == _SIX.size:
                return _six(said)
            case b"\x05" | b"\x06":
                raise Garbled(f"format {said[0]} with {len(said)} bytes")
            case _:
                raise NotMine(f"format {said[:1].hex() or 'none'}; known are 5 and 6")


def _air(temperature: int, humidity: int, pressure: int) -> list[Sample]:
    return [
        Sample("temperature", None if temperature == _UNKNOWN_SIGNED else round(temperature * 0.005, 3)),
        Sample("humidity", None if humidity == _UNKNOWN_WORD else round(humidity * 0.0025, 4)),
        Sample("pressure", None if pressure == _UNKNOWN_WORD else (pressure + 50_000) / 100),
    ]


def _five(said: bytes) -> list[Sample]:
    _, temperature, humidity, pressure, x, y, z, power, movements, sequence, _ = _FIVE.unpack(said)
    voltage, strength = power >> 5, power & 0x1F
    return [
        *_air(temperature, humidity, pressure),
        *(
            Sample(
                f"acceleration_{axis}", None if raw == _UNKNOWN_SIGNED else round(raw * _GRAVITY / 1000, 4)
            )
            for axis, raw in (("x", x), ("y", y), ("z", z))
        ),
        Sample("battery_voltage", None if voltage == _UNKNOWN_VOLTAGE else (voltage + 1600) / 1000),
        Sample("tx_power", None if strength == _UNKNOWN_POWER else strength * 2 - 40),
        Sample("movement_counter", None if movements == _UNKNOWN_BYTE else movements),
        Sample("sequence", None if sequence == _UNKNOWN_WORD else sequence),
    ]


def _six(said: bytes) -> list[Sample]:
    _, temperature, humidity, pressure, dust, co2, voc, nox, light, _, sequence, flags, _ = _SIX.unpack(said)
    voc, nox = voc << 1 | flags >> 6 & 1, nox << 1 | flags >> 7
    return [
        *_air(temperature, humidity, pressure),
        Sample("pm2_5", None if dust == _UNKNOWN_WORD else dust / 10),
        Sample("co2", None if co2 == _UNKNOWN_WORD else co2),
        Sample("voc", None if voc == _UNKNOWN_INDEX else voc),
        Sample("nox", None if nox == _UNKNOWN_INDEX else nox),
        Sample(
            "illuminance", None if light == _UNKNOWN_BYTE else round(math.exp(light * _LIGHT_STEP) - 1, 2)
        ),
        Sample("sequence", sequence),
        Sample("calibrating", bool(flags & 1)),
    ]


driver = Driver(
    title="RuuviTag and Ruuvi Air",
    home=__name__,
    over=Over.ADVERTISEMENTS,
    settings=RuuviSettings,
    open=Ruuvi,
    broadcast=Broadcast(companies=(_COMPANY,)),
)
