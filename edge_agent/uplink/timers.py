"""Things to be done later, by name."""

import asyncio
import random
from collections.abc import Callable

_DAY_S = 86_400.0


class Timers:
    """At most one timer under each name, until all are stopped together."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, name: str) -> bool:
        """Say whether one of that name is running."""
        return name in self._running

    def after(self, name: str, delay: float, call: Callable[[], None]) -> None:
        """Call after so many seconds, instead of what was to be called under this name."""
        self.stop(name)
        self._running[name] = self._loop.call_later(delay, self._fire, name, call)

    def _fire(self, name: str, call: Callable[[], None]) -> None:
        del self._running[name]
        call()

    def stop(self, name: str) -> None:
        """Do not call under this name."""
        if name in self._running:
            self._running.pop(name).cancel()

    def close(self) -> None:
        """Stop all."""
        for name in list(self._running):
            self.stop(name)


def in_a_day() -> float:
    """When what is retained is said again: gateways that came together, with a broker, must not stay so."""
    return _DAY_S * random.uniform(0.9, 1.0)  # noqa: S311 - jitter
