"""How long to wait before the next try."""

import random


class Backoff:
    """Decorrelated jitter: each wait is random between the least and three times the last, up to the most.

    So that a thousand gateways that lost the same broker do not come back together. In seconds.
    """

    def __init__(self, least: float = 1.0, most: float = 60.0) -> None:
        self._least, self._most = least, most
        self._last = least

    def next(self) -> float:
        """Return how long to wait now."""
        self._last = min(self._most, random.uniform(self._least, 3 * self._last))  # noqa: S311 - jitter
        return self._last

    def reset(self) -> None:
        """It went well: the next wait is short again."""
        self._last = self._least
