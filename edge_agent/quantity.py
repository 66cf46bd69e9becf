"""The closed list of what can be measured: one name, one unit, one plausible range each."""

from enum import StrEnum
from typing import Literal, Self

Kind = Literal["gauge", "counter", "state"]


class Quantity(StrEnum):
    """What a channel measures. The value is the name used in code, config and MQTT.

    ``unit`` is a UCUM code. ``low`` and ``high`` bound what is physically plausible for a park
    (None: no bound); outside, a value is kept and marked suspect. ``kind`` tells a consumer how
    to treat it: a gauge goes up and down, a counter only up, a state is a code or a boolean.
    """

    unit: str
    label: str
    low: float | None
    high: float | None
    kind: Kind

    def __new__(
        cls,
        name: str,
        unit: str,
        label: str,
        bounds: tuple[float | None, float | None] = (None, None),
        kind: Kind = "gauge",
    ) -> Self:
        """Attach the facts to the name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.unit, member.label, member.kind = unit, label, kind
        member.low, member.high = bounds
        return member

    TEMPERATURE = "temperature", "Cel", "Temperature", (-60, 150)
    HUMIDITY = "humidity", "%", "Relative humidity", (0, 100)
    PRESSURE = "pressure", "hPa", "Air pressure", (300, 1200)
    ILLUMINANCE = "illuminance", "lx", "Illuminance", (0, 200_000)
    CO2 = "co2", "[ppm]", "Carbon dioxide", (0, 40_000)
    PM2_5 = "pm2_5", "ug/m3", "Fine dust", (0, 2000)
    PM10 = "pm10", "ug/m3", "Coarse dust", (0, 5000)
    TVOC = "tvoc", "ug/m3", "Volatile organic compounds", (0, 100_000)
    MOISTURE = "moisture", "%", "Moisture of a material", (0, 100)
    CONDUCTIVITY = "conductivity", "uS/cm", "Conductivity", (0, 100_000)
    PRECIPITATION = "precipitation", "mm", "Precipitation", (0, None)
    # without a unit: UV, VOC and NOx indices
    INDEX = "index", "1", "Index", (0, 1000)

    VOLTAGE = "voltage", "V", "Voltage", (0, 1000)
    CURRENT = "current", "A", "Current", (-10_000, 10_000)
    POWER = "power", "W", "Active power", (-5e6, 5e6)
    APPARENT_POWER = "apparent_power", "V.A", "Apparent power", (-5e6, 5e6)
    REACTIVE_POWER = "reactive_power", "var", "Reactive power", (-5e6, 5e6)
    POWER_FACTOR = "power_factor", "1", "Power factor", (-1, 1)
    FREQUENCY = "frequency", "Hz", "Frequency", (0, 1000)
    ENERGY_IMPORT = "energy_import", "kW.h", "Energy imported", (0, None), "counter"
    ENERGY_EXPORT = "energy_export", "kW.h", "Energy exported", (0, None), "counter"
    ENERGY_TOTAL = "energy_total", "kW.h", "Energy in total", (0, None), "counter"
    REACTIVE_ENERGY_IMPORT = "reactive_energy_import", "kvar.h", "Reactive energy in", (0, None), "counter"
    REACTIVE_ENERGY_EXPORT = "reactive_energy_export", "kvar.h", "Reactive energy out", (0, None), "counter"

    OCCUPANCY = "occupancy", "1", "Occupied", (None, None), "state"
    MOTION = "motion", "1", "Motion", (None, None), "state"
    CONTACT = "contact", "1", "Contact open", (None, None), "state"
    # 0 nobody, 1 moving, 2 still, 3 both
    TARGET_STATE = "target_state", "1", "Target state", (0, 3), "state"
    DISTANCE = "distance", "m", "Distance", (0, 1000)
    POSITION_X = "position_x", "m", "Position to the side", (-1000, 1000)
    POSITION_Y = "position_y", "m", "Position ahead", (-1000, 1000)
    SPEED = "speed", "m/s", "Speed", (-100, 100)
    LEVEL = "level", "%", "Share of full scale", (0, 100)
    ACCELERATION = "acceleration", "m/s2", "Acceleration", (-1000, 1000)
    ANGLE = "angle", "deg", "Angle", (-3600, 3600)
    TURNING = "turning", "deg/s", "Speed of turning", (-1e6, 1e6)
    MASS = "mass", "kg", "Mass", (0, 100_000)
    VOLUME = "volume", "m3", "Volume", (0, None)
    FLOW = "flow", "m3/h", "Flow", (-10_000, 10_000)
    DURATION = "duration", "s", "Duration", (0, None)
    # a yes or no that has no name of its own here: smoke, tamper, wet ...
    FLAG = "flag", "1", "Yes or no", (None, None), "state"
    ALARM = "alarm", "1", "Alarm", (None, None), "state"
    # what was done to a button
    EVENT = "event", "1", "Event", (None, None), "state"

    BATTERY = "battery", "%", "Battery", (0, 100)
    BATTERY_VOLTAGE = "battery_voltage", "V", "Battery voltage", (0, 60)
    SIGNAL = "signal", "dBm", "Signal strength", (-150, 30)
    COUNT = "count", "1", "Count", (0, None)


def quantity_of(channel: str) -> Quantity:
    """Return the quantity that a channel is named after, such as ``energy_import`` of ``energy_import_t3``.

    Raises:
        ValueError: it is named after none.
    """
    fitting = [quantity for quantity in Quantity if f"{channel}_".startswith(f"{quantity.value}_")]
    if not fitting:
        raise ValueError(
            f"channel {channel!r} is named after no quantity; write one with a suffix, such as "
            "energy_import_t5 or power_pv"
        )
    return max(fitting, key=lambda quantity: len(quantity.value))
