"""Readings that a broker can never take, events that it refuses for too long: on their way to the ledger."""

import logging
from collections import deque

from edge_agent.kept import Row
from edge_agent.uplink.losses import Losses
from edge_agent.uplink.protocol import Delivery
from edge_agent.uplink.refusals import Suspects

log = logging.getLogger(__name__)


class Rejections:
    """They are still owed until the ledger has them, and are then declared."""

    def __init__(self, delivery: Delivery, losses: Losses, suspects: Suspects) -> None:
        self._delivery, self._losses, self._suspects = delivery, losses, suspects
        self._waiting: deque[tuple[Row, str]] = deque()
        self._told = False

    def add(self, row: Row, why: str) -> None:
        """Give up a reading."""
        self._waiting.append((row, why))

    def outlived(self, event: Row) -> bool:
        """Give up an event that was refused, if it is older than all that need not be kept for sending.

        Nothing else waits for events: one that is refused for ever would keep the log for ever.
        """
        if not self._delivery.outlived(event):
            return False
        if not self._told:
            self._told = True
            log.warning("events that the broker refuses are older than outbox.replay; they are given up")
        self.add(event, "refused by the broker for longer than outbox.replay")
        return True

    def low_water(self) -> int | None:
        """The lowest log id that waits, or None."""
        return min((row.id for row, _ in self._waiting), default=None)

    async def write(self) -> None:
        """Write all that wait to the ledger."""
        while self._waiting:
            row, why = self._waiting[0]
            await self._delivery.reject(row, why)
            self._losses.made()
            self._suspects.forget(row)
            self._waiting.popleft()
