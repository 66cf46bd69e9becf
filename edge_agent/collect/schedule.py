"""When a device is asked next. Pure; seconds on a monotonic clock."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

_LONGEST_PAUSE = 120.0
_SHARE = 30  # a failing device has at most one part in so many of its line


@dataclass(slots=True)
class Schedule:
    """Deadlines one interval apart, that never burst: what was missed is left out.

    The first deadlines are moved by chance, so that devices that began together are spread out. A device that
    fails is asked less and less often, down to once in two minutes (or once an interval, if that is longer).
    From its second failure on it also pays for the time that it takes from the line, so that dead ones cost
    their neighbours little from the beginning. ``chance`` gives numbers from 0 to 1.
    """

    interval: float
    due: float
    chance: Callable[[], float] = random.random
    _failures: int = field(default=0)
    _begun: bool = field(default=False)

    def went_well(self, now: float) -> None:
        """The device answered: the next deadline is one interval after the last."""
        self._failures = 0
        pause = self.interval if self._begun else self.interval * self._between(0.5, 1)
        self._begun = True
        self.due += pause
        if self.due <= now:
            missed = (now - self.due) // self.interval + 1
            self.due += missed * self.interval

    def failed(self, now: float, spent: float = 0.0) -> None:
        """It did not, and took so many seconds of the line: wait longer than after the failure before."""
        pause = self.interval
        if self._failures:
            pause = max(2 * self.interval, _SHARE * spent) * 2 ** (self._failures - 1)
        pause = min(pause, max(_LONGEST_PAUSE, self.interval))
        self._failures = min(self._failures + 1, 16)
        self.due = now + pause * self._between(0.8, 1)

    def _between(self, least: float, most: float) -> float:
        return least + (most - least) * self.chance()
