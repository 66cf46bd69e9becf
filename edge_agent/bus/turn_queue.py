"""Whose turn it is on a bus with one owner."""

import asyncio
import heapq
from itertools import count


class TurnQueue:
    """Lets one at a time have the bus: of those who wait, who was due first; then, who came first."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._comers = count()

    async def take(self, due: float) -> None:
        """Wait for a turn; give it back with ``give``. ``due`` is the loop's time at which it was wanted."""
        if not self._taken:
            self._taken = True
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (due, next(self._comers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came together with the cancelling
                self.give()
            raise

    def give(self) -> None:
        """Give the turn to the next one, if there is any."""
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._taken = False
