"""Which of a device's channels say most to a person: where there is room for a few, these are shown. Pure."""

from collections.abc import Iterable
from functools import lru_cache

_OF_METERS = "power", "energy_import", "energy_total", "voltage", "current"
_FIRST = (
    *_OF_METERS, "occupancy", "motion", "contact", "target_count", "temperature", "humidity", "co2", "pm2_5",
    "moisture", "level", "distance",
)  # fmt: skip
_LAST = (
    "power_factor", "frequency", "battery", "battery_voltage", "signal", "tx_power", "sequence", "packet",
    "uptime",
)  # fmt: skip


def by_importance(channels: Iterable[str]) -> list[str]:
    """Return channels, those first that are looked at most; all others stay in their order."""
    return sorted(channels, key=_rank)


@lru_cache(maxsize=1_000)
def _rank(channel: str) -> int:
    for at, name in enumerate(_LAST):
        if channel == name:
            return 2 * len(_FIRST) + 1 + at
    for at, name in enumerate(_FIRST):
        if channel == name:
            return at
        if channel.startswith(f"{name}_"):  # one of several, such as voltage_l1
            return len(_FIRST) + at
    return 2 * len(_FIRST)
