"""When a device is asked next. Pure; seconds on a monotonic clock."""

from dataclasses import dataclass, field

_LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class Schedule:
    """Deadlines one interval apart, that never burst: what was missed is left out.

    A device that fails is asked less and less often, down to once a minute (or once an interval, if that is
    longer), so that a dead one costs its neighbours on the line a shrinking share.
    """

    interval: float
    due: float
    _failures: int = field(default=0)

    def went_well(self, now: float) -> None:
        """The device answered: the next deadline is one interval after the last."""
        self._failures = 0
        self._advance(self.interval, now)

    def failed(self, now: float) -> None:
        """It did not: wait twice as long as after the failure before."""
        pause = min(self.interval * 2**self._failures, max(_LONGEST_PAUSE, self.interval))
        self._failures = min(self._failures + 1, 16)
        self._advance(pause, now)

    def _advance(self, pause: float, now: float) -> None:
        self.due += pause
        if self.due <= now:
            missed = (now - self.due) // self.interval + 1
            self.due += missed * self.interval
