"""How often a device is asked, and whether somebody wants to know now."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from edge_agent.collect.schedule import Schedule
from edge_agent.driver import Sample


class Polling:
    """One device's interval, in seconds, and those who wait for its next answer."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._changed = asyncio.Event()
        self._waiting: list[asyncio.Future[Sequence[Sample]]] = []

    def set_interval(self, interval: float) -> None:
        """Ask each so many seconds from now on."""
        self.interval = interval
        self._changed.set()

    async def poll_now(self) -> Sequence[Sample]:
        """Have the device asked now, out of turn, and return what it says. The caller limits the wait.

        Raises:
            Fault, BusError: it says nothing that can be read.
        """
        answer: asyncio.Future[Sequence[Sample]] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._changed.set()
        return await answer

    async def wait_due(self, schedule: Schedule) -> bool:
        """Wait until the device is to be asked; return whether it is due, or wanted out of turn."""
        loop = asyncio.get_running_loop()
        while True:
            if schedule.interval != self.interval:
                schedule.interval = self.interval
                schedule.due = min(schedule.due, loop.time() + self.interval)
            left = schedule.due - loop.time()
            if left <= 0:
                return True
            if any(not answer.done() for answer in self._waiting):
                return False
            self._waiting.clear()
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    def answered(self, samples: Sequence[Sample]) -> None:
        """Tell all who wait."""
        for answer in self._waiting:
            if not answer.done():
                answer.set_result(samples)
        self._waiting.clear()

    def failed(self, error: Exception) -> None:
        """Tell all who wait why there is no answer."""
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(error)
        self._waiting.clear()
