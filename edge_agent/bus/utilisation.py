"""How much of the time a bus is taken."""

import math

_MEMORY = 60.0  # seconds after which a moment counts a third


class Utilisation:
    """The share of the last minute or so in which a bus was taken; older moments count less and less."""

    def __init__(self) -> None:
        self._share, self._at = 0.0, -math.inf

    def add(self, began: float, ended: float) -> None:
        """It was taken from then to then, times of a monotonic clock that grow from call to call."""
        free = self.share(began)
        self._share = 1 - (1 - free) * math.exp((began - ended) / _MEMORY)
        self._at = ended

    def share(self, now: float) -> float:
        """Return the share, 0 to 1."""
        return self._share * math.exp(min(0.0, self._at - now) / _MEMORY)
