"""How much arrives and how late, over the last while. Pure: the one who asks says what time it is."""

from collections import deque

_KEPT_S = 60
_LATENCIES = 1_000


class Rate:
    """Readings per second over the last minute; times in ms."""

    __slots__ = ("_began", "_seconds", "total")

    def __init__(self) -> None:
        self.total = 0
        self._began: int | None = None
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_KEPT_S)

    def add(self, count: int, at: int) -> None:
        """Count some that arrived at a time."""
        second = at // 1000
        self._began = second if self._began is None else self._began
        self.total += count
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))

    def per_second(self, at: int) -> float:
        """Return how many there were in each second, over the last minute or since the first."""
        if self._began is None:
            return 0.0
        now = at // 1000
        span = max(1, min(_KEPT_S, now - self._began + 1))
        return sum(count for second, count in self._seconds if second > now - span) / span


class Latency:
    """How long the latest readings took from measurement to arrival, in ms."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest: deque[int] = deque(maxlen=_LATENCIES)

    def add(self, ms: int) -> None:
        """Take one. It may be below 0, where the clocks of both ends differ."""
        self._latest.append(ms)

    def percentile(self, part: int) -> int | None:
        """Return what so many of 100 were at most; None when there was none."""
        ordered = sorted(self._latest)
        return ordered[min(len(ordered) - 1, len(ordered) * part // 100)] if ordered else None
