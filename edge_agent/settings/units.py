"""How the configuration writes durations, sizes and counts: always with a unit.

Every function here raises ValueError with what is wrong, a semicolon, and what to write.
"""

import re
from dataclasses import dataclass
from typing import Any

_WRITTEN = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([A-Za-z]+)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_BYTES = {
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_LONGEST = 3650 * _SECONDS["d"]


def _split(text: Any, what: str, units: dict[str, Any]) -> tuple[str, str]:
    found = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
    if found is None or found[2] not in units:
        raise ValueError(f"is not {what}")
    return found[1], found[2]


def duration(text: Any) -> float:
    """Turn ``"30s"``, ``"250ms"``, ``"2m"``, ``"1h"`` or ``"7d"`` into seconds."""
    try:
        number, unit = _split(text, "a duration", _SECONDS)
    except ValueError as error:
        raise ValueError(f'{error}; write a number and ms, s, m, h or d in quotes, such as "30s"') from None
    seconds = float(number) * _SECONDS[unit]
    if seconds > _LONGEST:
        raise ValueError('is longer than ten years; write at most "3650d"')
    return seconds


def written(seconds: float) -> str:
    """Turn seconds into what ``duration`` reads, in the largest unit in which it is a whole number."""
    unit = next((unit for unit in ("d", "h", "m", "s") if seconds and seconds % _SECONDS[unit] == 0), "")
    return f"{seconds / _SECONDS[unit]:.0f}{unit}" if unit else f"{seconds * 1000:g}ms" if seconds else "0s"


def size(text: Any) -> int:
    """Turn ``"512MB"`` (decimal) or ``"64KiB"`` (binary) into bytes."""
    try:
        number, unit = _split(text, "a size", _BYTES)
    except ValueError as error:
        raise ValueError(
            f'{error}; write a number and {", ".join(_BYTES)} in quotes, such as "512MB"'
        ) from None
    return round(float(number) * _BYTES[unit])


def readings(text: Any) -> int:
    """Turn ``"20000 readings"`` into a number."""
    try:
        number, _ = _split(text, "a number of readings", {"readings": 1, "reading": 1})
        return int(number)
    except ValueError:
        raise ValueError('is not a number of readings; write it as "20000 readings"') from None


@dataclass(frozen=True, slots=True)
class Within:
    """A check that a number lies in a range. ``written`` is the range as a person would say it."""

    low: float
    high: float
    written: str

    def __call__(self, number: float) -> float:
        """Return the number."""
        if not self.low <= number <= self.high:
            raise ValueError(f"is out of range; write {self.written}")
        return number
