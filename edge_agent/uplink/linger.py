"""Live readings that wait, so that messages are fewer and larger: for links that cost by the byte."""

import asyncio
from collections.abc import Callable

from edge_agent.uplink.lane import MOST_ROWS, Lane
from edge_agent.uplink.timers import Timers


class Linger:
    """Holds a lane back until its first reading has waited ``wait`` seconds, or a message's worth is there.

    ``on_due`` is called when the time is over. With ``wait`` 0 nothing waits.
    """

    def __init__(self, wait: float, lane: Lane, timers: Timers, on_due: Callable[[], None]) -> None:
        self._wait, self._lane, self._timers, self._on_due = wait, lane, timers, on_due
        self._loop = asyncio.get_running_loop()
        self._due_at = 0.0

    def add(self) -> None:
        """Readings are about to be put into the lane."""
        if self._wait and not self._lane.waiting:
            self._due_at = self._loop.time() + self._wait
            self._timers.after("batch", self._wait, self._due)

    def allows(self) -> bool:
        """Say whether what is in the lane may go."""
        return self._loop.time() >= self._due_at or self._lane.waiting >= MOST_ROWS

    def _due(self) -> None:
        self._due_at = 0.0
        self._on_due()
