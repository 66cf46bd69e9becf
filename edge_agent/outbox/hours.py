"""The last hour of all devices, one channel each, for sparklines after a restart; read within a time."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from edge_agent.outbox.readonly import open_read_only

_MINUTE_MS = 60_000
_MINUTES = 60
_AT_ONCE = 500  # rows: what is read once should leave no memory behind

Minutes = dict[int, tuple[float, float]]
"""The lowest and the highest value by how many minutes ago; where nothing was kept there is nothing."""


def hours(path: Path, to_ms: int, channels: Mapping[str, str], within: float) -> dict[str, Minutes]:
    """Read the hour before a time, by device; ``channels`` names the one of each.

    What cannot be read in so many seconds is left out, the oldest first. It blocks: for a thread.

    Raises:
        OutboxError, DamagedError: the outbox cannot be read.
    """
    found: dict[str, Minutes] = {}
    with open_read_only(path) as look, suppress(TimeoutError):
        for reading in look.newest("", to_ms - _MINUTES * _MINUTE_MS, within, _AT_ONCE):
            value = reading.values.get(channels.get(reading.device, ""))
            ago = (to_ms - reading.when.ts) // _MINUTE_MS
            if isinstance(value, int | float) and 0 <= ago < _MINUTES:
                minutes = found.setdefault(reading.device, {})
                low, high = minutes.get(ago, (value, value))
                minutes[ago] = min(low, float(value)), max(high, float(value))
    return found
