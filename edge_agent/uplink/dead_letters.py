"""Readings that a broker can never take, events that it refuses for too long: on their way to the ledger."""

import logging
from collections import deque

from edge_agent.row import Row
from edge_agent.uplink.interfaces import Delivery
from edge_agent.uplink.losses import Losses
from edge_agent.uplink.uplink_state import UplinkState

log = logging.getLogger(__name__)

_PATIENCE_S = 3600.0  # of refusals: the first one after a long outage says little


class DeadLetters:
    """They are still owed until the ledger has them, and are then declared. Times are seconds, monotonic."""

    def __init__(self, delivery: Delivery, losses: Losses, state: UplinkState) -> None:
        self._delivery, self._losses, self._state = delivery, losses, state
        self._waiting: deque[tuple[Row, str]] = deque()
        self._logged = False

    def add(self, row: Row, why: str) -> None:
        """Give up a reading."""
        self._waiting.append((row, why))

    def outlived(self, event: Row, now: float) -> bool:
        """Give up an event that was refused, if it is older than all that need not be kept for sending.

        Nothing else waits for events: one that is refused for ever would keep the log for ever. But the first
        ones that are refused are only held: what the uplink is to blame for may soon be over.
        """
        if self._state.events_refused_for(now) < _PATIENCE_S or not self._delivery.outlived(event):
            return False
        if not self._logged:
            self._logged = True
            log.warning("events that the broker refuses are older than outbox.replay; they are given up")
        self.add(event, "refused by the broker, and older than outbox.replay")
        return True

    def low_water(self) -> int | None:
        """The lowest log id that waits, or None."""
        return min((row.id for row, _ in self._waiting), default=None)

    async def write(self) -> None:
        """Write all that wait to the ledger."""
        while self._waiting:
            row, why = self._waiting[0]
            if self._delivery.owes(row.stream, row.seq):  # else a full outbox has given it up meanwhile
                await self._delivery.reject(row, why)
                self._losses.appended()
            self._state.suspects.forget(row)
            self._waiting.popleft()
