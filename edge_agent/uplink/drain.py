"""How fast the backlog goes, and so when it will be gone. Pure; times are seconds, monotonic."""

_MEASURED_S = 1.0  # a shorter time says little


class Drain:
    """The rate at which history is acknowledged, smoothed."""

    def __init__(self) -> None:
        self._rate = 0.0  # readings a second
        self._readings = 0
        self._since: float | None = None

    def begin(self, now: float) -> None:
        """The backlog begins to flow."""
        self._since = now

    def acked(self, readings: int, now: float) -> None:
        """So many readings of the history were taken."""
        self._readings += readings
        if self._since is not None and now - self._since >= _MEASURED_S:
            self._rate = self._smoothed(now)
            self._since, self._readings = now, 0

    def seconds(self, backlog: int, now: float) -> float | None:
        """Return how long a backlog will take; None while that is not known."""
        rate = self._smoothed(now)
        return backlog / rate if rate else None

    def _smoothed(self, now: float) -> float:
        if self._since is None or now - self._since < _MEASURED_S:
            return self._rate
        measured = self._readings / (now - self._since)
        return 0.7 * self._rate + 0.3 * measured if self._rate else measured
