"""The last hour of one channel by the minute, for a sparkline: always kept, in half a kilobyte."""

import math
from array import array
from collections.abc import Mapping

MINUTES = 60
_MINUTE_MS = 60_000


class Sparkline:
    """The lowest and the highest value of each minute; where nothing was heard there is nothing."""

    def __init__(self) -> None:
        self._low = array("f", [math.nan]) * MINUTES
        self._high = array("f", [math.nan]) * MINUTES
        self._minute = -MINUTES

    def add(self, mono_ms: int, value: float) -> None:
        """Take a value of now."""
        minute = mono_ms // _MINUTE_MS
        at = minute % MINUTES
        if minute == self._minute:
            if value < self._low[at]:
                self._low[at] = value
            elif value > self._high[at]:
                self._high[at] = value
            return
        for silent in range(max(self._minute + 1, minute - MINUTES + 1), minute):
            self._low[silent % MINUTES] = self._high[silent % MINUTES] = math.nan
        self._minute = minute
        self._low[at] = self._high[at] = value

    def points(self, mono_ms: int) -> list[tuple[float, float] | None]:
        """Return the lowest and the highest value of each minute, the last one being that of now."""
        now = mono_ms // _MINUTE_MS
        return [self._of(minute) for minute in range(now - MINUTES + 1, now + 1)]

    def fill(self, mono_ms: int, past: Mapping[int, tuple[float, float]]) -> None:
        """Take what was before this run: by how many minutes ago. What was heard in this run stays."""
        now, known = mono_ms // _MINUTE_MS, self.points(mono_ms)
        for ago in range(MINUTES):
            at = (now - ago) % MINUTES
            self._low[at], self._high[at] = known[-1 - ago] or past.get(ago, (math.nan, math.nan))
        self._minute = now - 1 if math.isnan(self._low[now % MINUTES]) else now  # the next value is its first

    def _of(self, minute: int) -> tuple[float, float] | None:
        at = minute % MINUTES
        if not self._minute - MINUTES < minute <= self._minute or math.isnan(self._low[at]):
            return None
        return self._low[at], self._high[at]
