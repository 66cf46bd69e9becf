"""What BTHome v2 can say: one line for each object id.

Ids, sizes, signs and factors: bthome.io/format, checked against the table of bthome-ble 3.25.0.
"""

from typing import NamedTuple

from edge_agent.driver import Quantity


class Object(NamedTuple):
    """One kind of object. ``factor`` makes the number on the air one of the quantity; None: a boolean."""

    name: str
    quantity: Quantity
    size: int
    factor: float | None
    signed: bool = False


_Q = Quantity

OBJECTS: dict[int, Object] = {
    0x00: Object("packet_id", _Q.COUNT, 1, 1),
    0x01: Object("battery", _Q.BATTERY, 1, 1),
    0x02: Object("temperature", _Q.TEMPERATURE, 2, 0.01, signed=True),
    0x03: Object("humidity", _Q.HUMIDITY, 2, 0.01),
    0x04: Object("pressure", _Q.PRESSURE, 3, 0.01),
    0x05: Object("illuminance", _Q.ILLUMINANCE, 3, 0.01),
    0x06: Object("mass", _Q.MASS, 2, 0.01),
    0x07: Object("mass", _Q.MASS, 2, 0.004_535_923_7),  # hundredths of a pound
    0x08: Object("dew_point", _Q.TEMPERATURE, 2, 0.01, signed=True),
    0x09: Object("count", _Q.COUNT, 1, 1),
    0x0A: Object("energy", _Q.ENERGY_TOTAL, 3, 0.001),
    0x0B: Object("power", _Q.POWER, 3, 0.01),
    0x0C: Object("voltage", _Q.VOLTAGE, 2, 0.001),
    0x0D: Object("pm2_5", _Q.PM2_5, 2, 1),
    0x0E: Object("pm10", _Q.PM10, 2, 1),
    0x0F: Object("flag", _Q.FLAG, 1, None),
    0x10: Object("power_on", _Q.FLAG, 1, None),
    0x11: Object("opening", _Q.CONTACT, 1, None),
    0x12: Object("co2", _Q.CO2, 2, 1),
    0x13: Object("tvoc", _Q.TVOC, 2, 1),
    0x14: Object("moisture", _Q.MOISTURE, 2, 0.01),
    0x15: Object("battery_low", _Q.FLAG, 1, None),
    0x16: Object("battery_charging", _Q.FLAG, 1, None),
    0x17: Object("carbon_monoxide", _Q.FLAG, 1, None),
    0x18: Object("cold", _Q.FLAG, 1, None),
    0x19: Object("connectivity", _Q.FLAG, 1, None),
    0x1A: Object("door", _Q.CONTACT, 1, None),
    0x1B: Object("garage_door", _Q.CONTACT, 1, None),
    0x1C: Object("gas_detected", _Q.FLAG, 1, None),
    0x1D: Object("heat", _Q.FLAG, 1, None),
    0x1E: Object("light", _Q.FLAG, 1, None),
    0x1F: Object("lock", _Q.FLAG, 1, None),
    0x20: Object("wet", _Q.FLAG, 1, None),
    0x21: Object("motion", _Q.MOTION, 1, None),
    0x22: Object("moving", _Q.MOTION, 1, None),
    0x23: Object("occupancy", _Q.OCCUPANCY, 1, None),
    0x24: Object("plug", _Q.FLAG, 1, None),
    0x25: Object("presence", _Q.OCCUPANCY, 1, None),
    0x26: Object("problem", _Q.FLAG, 1, None),
    0x27: Object("running", _Q.FLAG, 1, None),
    0x28: Object("safety", _Q.FLAG, 1, None),
    0x29: Object("smoke", _Q.FLAG, 1, None),
    0x2A: Object("sound", _Q.FLAG, 1, None),
    0x2B: Object("tamper", _Q.FLAG, 1, None),
    0x2C: Object("vibration", _Q.FLAG, 1, None),
    0x2D: Object("window", _Q.CONTACT, 1, None),
    0x2E: Object("humidity", _Q.HUMIDITY, 1, 1),
    0x2F: Object("moisture", _Q.MOISTURE, 1, 1),
    # 0 none, 1 press, 2 double, 3 triple, 4 long, 5 long double, 6 long triple, 128 hold
    0x3A: Object("button", _Q.EVENT, 1, 1),
    0x3C: Object("dimmer", _Q.EVENT, 2, 1),  # low byte: 1 left, 2 right; high byte: steps
    0x3D: Object("count", _Q.COUNT, 2, 1),
    0x3E: Object("count", _Q.COUNT, 4, 1),
    0x3F: Object("rotation", _Q.ANGLE, 2, 0.1, signed=True),
    0x40: Object("distance", _Q.DISTANCE, 2, 0.001),
    0x41: Object("distance", _Q.DISTANCE, 2, 0.1),
    0x42: Object("duration", _Q.DURATION, 3, 0.001),
    0x43: Object("current", _Q.CURRENT, 2, 0.001),
    0x44: Object("speed", _Q.SPEED, 2, 0.01),
    0x45: Object("temperature", _Q.TEMPERATURE, 2, 0.1, signed=True),
    0x46: Object("uv_index", _Q.INDEX, 1, 0.1),
    0x47: Object("volume", _Q.VOLUME, 2, 0.000_1),
    0x48: Object("volume", _Q.VOLUME, 2, 0.000_001),
    0x49: Object("flow", _Q.FLOW, 2, 0.001),
    0x4A: Object("voltage", _Q.VOLTAGE, 2, 0.1),
    0x4B: Object("gas", _Q.VOLUME, 3, 0.001),
    0x4C: Object("gas", _Q.VOLUME, 4, 0.001),
    0x4D: Object("energy", _Q.ENERGY_TOTAL, 4, 0.001),
    0x4E: Object("volume", _Q.VOLUME, 4, 0.000_001),
    0x4F: Object("water", _Q.VOLUME, 4, 0.000_001),
    0x51: Object("acceleration", _Q.ACCELERATION, 2, 0.001),
    0x52: Object("turning", _Q.TURNING, 2, 0.001),
    0x55: Object("volume_storage", _Q.VOLUME, 4, 0.000_001),
    0x56: Object("conductivity", _Q.CONDUCTIVITY, 2, 1),
    0x57: Object("temperature", _Q.TEMPERATURE, 1, 1, signed=True),
    0x58: Object("temperature", _Q.TEMPERATURE, 1, 0.35, signed=True),
    0x59: Object("count", _Q.COUNT, 1, 1, signed=True),
    0x5A: Object("count", _Q.COUNT, 2, 1, signed=True),
    0x5B: Object("count", _Q.COUNT, 4, 1, signed=True),
    0x5C: Object("power", _Q.POWER, 4, 0.01, signed=True),
    0x5D: Object("current", _Q.CURRENT, 2, 0.001, signed=True),
    0x5E: Object("direction", _Q.ANGLE, 2, 0.01),
    0x5F: Object("precipitation", _Q.PRECIPITATION, 2, 0.1),
    0x61: Object("rotational_speed", _Q.TURNING, 2, 6),  # from turns a minute
    0x62: Object("speed", _Q.SPEED, 4, 0.000_001, signed=True),
    0x63: Object("acceleration", _Q.ACCELERATION, 4, 0.000_001, signed=True),
    0x64: Object("light_level", _Q.INDEX, 1, 1),
}

NO_MEASUREMENT: dict[int, int] = {0x50: 4, 0x60: 1, 0x65: 1, 0xF0: 2, 0xF1: 4, 0xF2: 3}
"""Sizes of the objects that measure nothing: a time, a channel, a revision, a type, a firmware version."""

WITH_LENGTH = frozenset({0x53, 0x54})
"""Text and raw bytes: their first byte is their length."""
