"""What follows when a broker does not take a message: is it the reading's fault, or the uplink's? Pure."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.backoff import Backoff
from edge_agent.row import Row

log = logging.getLogger(__name__)

NOBODY = 0x10  # MQTT 5.0, 3.4.2.1: no matching subscribers
TOO_LARGE = 0x95  # MQTT 5.0, 2.4: Packet too large
_OF_THE_READING = frozenset({TOO_LARGE, 0x99})  # 0x99: Payload format invalid
_TRIES = 5
_CAREFUL_ACKS = 50
_QUICK_TRIES = 20


class Refusal(NamedTuple):
    """A PUBACK with a failure: its reason code and name."""

    code: int
    name: str

    @property
    def of_the_reading(self) -> bool:
        """Whether this very message can never be taken; else the uplink is to blame (ACL, quota, unknown)."""
        return self.code in _OF_THE_READING

    @property
    def nobody(self) -> bool:
        """Whether the broker took it, and has nobody to give it to."""
        return self.code == NOBODY

    def problem(self, base: str, events: str = "") -> str:
        """Say what is wrong below a gateway's ``base``; of ``events`` where it is they alone."""
        if self.nobody:
            return f"nobody subscribes to what is sent below {base}; it waits (hold_without_subscriber)"
        if events:
            return f"the broker refuses events ({self.name}); allow us to write {events}"
        return f"the broker refuses messages ({self.name}); check ACL and quota for {base}"


@dataclass(slots=True)
class CircuitBreaker:
    """Holds readings back after a refusal of the uplink: then one message at a time probes.

    ``base``: where the gateway's topics lie; ``events``: those of events, where it holds these alone. Times
    are seconds, monotonic.
    """

    base: str
    events: str = ""
    problem: str = ""
    _opens_at: float = 0.0
    _backoff: Backoff = field(default_factory=Backoff)

    def refused(self, now: float, refusal: Refusal) -> float:
        """Close for a while; return for how long. What was on its way meanwhile does not make it longer."""
        problem = refusal.problem(self.base, self.events)
        if self.problem == problem and now < self._opens_at:
            return self._opens_at - now
        if self.problem != problem:
            log.warning("%s; nothing is given up", problem)
        self.problem = problem
        pause = self._backoff.next()
        self._opens_at = now + pause
        return pause

    def accepted(self) -> None:
        """A reading was taken: all is well again."""
        if self.problem:
            self.problem = ""
            self._backoff.reset()

    def allows(self, now: float, in_flight: int) -> bool:
        """Say whether one more message of readings may go."""
        return not self.problem or (now >= self._opens_at and not in_flight)


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
