"""Poison messages: which reading is it at which a broker hangs up, or that it can never take? Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.row import Row

_TRIES = 5
_CAREFUL_ACKS = 50
_QUICK_TRIES = 20


@dataclass(slots=True)
class PoisonSuspects:
    """Messages at which a broker closed the connection, or that it refused. Kept over an uplink's sessions.

    When it is not known which of many it was, the next session is careful and has one in flight. A message
    counts only if it was alone, and if something else passed since. One of many readings comes back as
    smaller ones, until a single reading has failed often enough to be given up.
    """

    _counts: Counter[tuple[int, int]] = field(default_factory=Counter)  # by stream and seq
    _limits: dict[int, int] = field(default_factory=dict)  # by stream: rows in a message
    _passed: bool = True
    _careful: bool = False
    _acks: int = 0  # since the last trouble
    _quick: int = _QUICK_TRIES

    @property
    def careful(self) -> bool:
        """Whether only one message of readings may be in flight."""
        return self._careful

    def acked(self) -> None:
        """Something passed."""
        self._passed = True
        self._acks += 1
        if self._acks == _CAREFUL_ACKS:
            self._careful = False
            self._limits.clear()
            self._quick = _QUICK_TRIES

    def closed(self, flying: Sequence[Sequence[Row]]) -> None:
        """The broker closed the connection while these were on their way."""
        if not flying:
            return
        if len(flying) == 1 and self._passed:
            self.refused(flying[0])
            self._passed = False
        self._careful, self._acks = True, 0

    def refused(self, rows: Sequence[Row]) -> None:
        """The broker refused this message, or is too small for it."""
        self._acks = 0
        if len(rows) == 1:
            self._counts[rows[0].stream, rows[0].seq] += 1
        else:
            self._limits[rows[0].stream] = max(1, len(rows) // 8)

    def try_soon(self) -> bool:
        """Say whether the next connection is worth a short wait: to find the one, a few times."""
        if not self._careful or not self._quick:
            return False
        self._quick -= 1
        return True

    def most_rows(self, row: Row, most: int) -> int:
        """How many rows a message that begins with this one may have."""
        return min(most, self._limits.get(row.stream, most))

    def hopeless(self, row: Row) -> bool:
        """Say whether this one reading was tried often enough."""
        return self._counts[row.stream, row.seq] >= _TRIES

    def forget(self, row: Row) -> None:
        """It is settled, one way or the other."""
        if self._counts.pop((row.stream, row.seq), 0) >= _TRIES:  # it was the one
            self._limits.pop(row.stream, None)
