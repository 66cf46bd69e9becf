"""What there is to measure in the simulated park: pure functions of the time in seconds.

Sums of waves whose periods have no common multiple look like life, need no memory, and go on where
they were when the demo is started again. So do the meter's counters: energy is the exact integral
of power.
"""

import math

_WAVES = ((310.0, 7.0), (180.0, 31.0), (95.0, 113.0), (240.0, 1009.0))  # (watts, period in seconds)
_FLOOR = 180.0  # W that are always drawn
_DAYS = 60  # then the counters begin again: an f32 register of a large counter has coarse steps
_REPLACED_EVERY = _DAYS * 86_400.0


def power(t: float) -> float:
    """Return what the hall draws, in W."""
    return _FLOOR + sum(size * (1 + math.sin(math.tau * t / period)) for size, period in _WAVES)


def energy(t: float) -> float:
    """Return what the hall has drawn since t = 0, in kWh. Never falls."""
    constant = _FLOOR + sum(size for size, _ in _WAVES)
    waves = sum(size * period / math.tau * (1 - math.cos(math.tau * t / period)) for size, period in _WAVES)
    return (constant * t + waves) / 3.6e6


def meter(t: float) -> dict[str, float]:
    """Return the readings of a single-phase energy meter by channel name."""
    t %= _REPLACED_EVERY
    active = power(t)
    factor = 0.95 + 0.03 * math.sin(t / 17)
    apparent = active / factor
    voltage = 231 - active / 1500 + 1.2 * math.sin(t / 11) + 0.4 * math.sin(t / 2.3)
    reactive_share = math.tan(math.acos(0.95))
    return {
        "voltage": voltage,
        "current": apparent / voltage,
        "power": active,
        "apparent_power": apparent,
        "reactive_power": math.sqrt(apparent**2 - active**2),
        "power_factor": factor,
        "frequency": 50 + 0.02 * math.sin(t / 13) + 0.01 * math.sin(t / 3.1),
        "energy_import": energy(t),
        "energy_export": 0.0,
        "energy_total": energy(t),
        "reactive_energy_import": energy(t) * reactive_share,
        "reactive_energy_export": 0.0,
    }


def flat(t: float) -> dict[str, float]:
    """Return the readings of a flat's meter by channel name; another time of the hall does for its life."""
    told = meter(t + _REPLACED_EVERY / 3)
    shares = {"t1": 0.1, "t2": 0.3, "t3": 0.4, "t4": 0.2}
    return {
        "energy_total": told["energy_total"],
        "energy_import": told["energy_import"],
        **{f"energy_import_{tariff}": told["energy_import"] * share for tariff, share in shares.items()},
        "energy_export": told["energy_export"],
        "voltage_a": told["voltage"],
        "current_a": told["current"],
        "current_neutral": told["current"],
        "power": told["power"],
        "power_factor": told["power_factor"],
        "frequency": told["frequency"],
        "temperature": 31 + told["power"] / 400,
    }


def climate(t: float) -> dict[str, float]:
    """Return the air of the hall by channel name: degrees Celsius and percent."""
    warmth = math.sin(math.tau * t / 600) + 0.3 * math.sin(t / 7)
    return {"temperature": 23.5 + 1.2 * warmth, "humidity": 52 - 4 * warmth + 0.8 * math.sin(t / 5)}


def outdoors(t: float) -> dict[str, float]:
    """Return the air on the roof by channel name: degrees Celsius, percent and hPa."""
    warmth = math.sin(math.tau * t / 900) + 0.2 * math.sin(t / 11)
    return {
        "temperature": 9.0 + 3 * warmth,
        "humidity": 74 - 9 * warmth,
        "pressure": 1013.2 + 2 * math.sin(math.tau * t / 5000),
    }


def somebody_passes(t: float) -> bool:
    """Say whether somebody is in the corridor: for some seconds, a few times a minute."""
    return math.sin(t / 3) + math.sin(t / 7.3) > 0.9  # noqa: PLR2004 - about one part in five
