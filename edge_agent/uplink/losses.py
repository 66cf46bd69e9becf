"""Declarations of what was lost: beside the readings, read from the ledger a few at a time, oldest first."""

import sqlite3
import sys
from collections import deque

from edge_agent.row import Declared
from edge_agent.uplink import birth
from edge_agent.uplink.in_flight import InFlight
from edge_agent.uplink.interfaces import Delivery, Gateway
from edge_agent.uplink.topics import Topics

_READ = 100  # entries


class Losses:
    """What one connection declares. However much is open, only a few entries are in memory."""

    def __init__(self, gateway: Gateway, topics: Topics, delivery: Delivery) -> None:
        self._gateway, self._topics, self._delivery = gateway, topics, delivery
        self._waiting: deque[Declared] = deque()
        self._last = 0  # the entry that was read last
        self._more, self._reading = True, False

    @property
    def taken(self) -> int:
        """The last entry that was taken up; those above it may still grow."""
        return sys.maxsize if self._reading else self._last

    @property
    def runs_low(self) -> bool:
        """Whether few wait and the ledger may have more."""
        return self._more and len(self._waiting) < _READ // 2

    async def read(self) -> None:
        """Read on in the ledger."""
        self._more, self._reading = False, True  # it may have more before this is over
        try:
            found = await self._delivery.open_losses(self._last, _READ)
        except sqlite3.Error:
            self._more = True
            raise
        finally:
            self._reading = False
        if found:
            self._waiting.extend(found)
            self._last = found[-1].id
            self._more = self._more or len(found) == _READ

    def redeclare(self) -> None:
        """Declare all that is open once more, also what is on its way."""
        if not self._reading:
            self._waiting.clear()
            self._last, self._more = 0, True

    def appended(self) -> None:
        """The ledger has a new entry."""
        self._more = True

    def send(self, in_flight: InFlight) -> bool:
        """Send the next one. Returns whether there was one."""
        if not self._waiting:
            return False
        loss = self._waiting.popleft()
        stream = self._delivery.streams[loss.stream]
        in_flight.send(birth.loss(self._gateway, self._topics, stream, loss), loss=loss, backlog=True)
        return True

    def put_back(self, loss: Declared) -> None:
        """One was refused, and goes out again."""
        self._waiting.appendleft(loss)
