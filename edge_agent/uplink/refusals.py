"""What follows when a broker does not take a message: is it the reading's fault, or the uplink's? Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.backoff import Backoff
from edge_agent.kept import Row

TOO_LARGE = 0x95  # MQTT 5.0, 2.4: Packet too large
_OF_THE_READING = frozenset({TOO_LARGE, 0x99})  # 0x99: Payload format invalid
_TRIES = 5
_CAREFUL_ACKS = 50


class Refusal(NamedTuple):
    """A PUBACK with a failure: its reason code and name."""

    code: int
    name: str

    @property
    def of_the_reading(self) -> bool:
        """Whether this very message can never be taken; else the uplink is to blame (ACL, quota, unknown)."""
        return self.code in _OF_THE_READING


@dataclass(slots=True)
class Gate:
    """Holds readings back after a refusal of the uplink: then one message at a time probes.

    Times are seconds, monotonic.
    """

    problem: str = ""
    _opens_at: float = 0.0
    _backoff: Backoff = field(default_factory=Backoff)

    def refused(self, now: float, problem: str) -> float:
        """Close for a while; return for how long."""
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
class Suspects:
    """Messages at which a broker closed the connection. Kept over the sessions of an uplink.

    When it is not known which of many it was, the next session is careful and has one in flight. A message
    counts only if it was alone, and if something else passed since its last count.
    """

    _counts: Counter[tuple[int, int]] = field(default_factory=Counter)
    _passed: bool = True
    _careful: int = 0

    @property
    def careful(self) -> bool:
        """Whether only one message of readings may be in flight."""
        return self._careful > 0

    def acked(self) -> None:
        """Something passed."""
        self._passed = True
        if self._careful:
            self._careful -= 1

    def closed(self, flying: list[list[Row]]) -> None:
        """The broker closed the connection while these were on their way."""
        if not flying:
            return
        if len(flying) == 1 and self._passed:
            self._counts[flying[0][0].stream, flying[0][0].seq] += 1
            self._passed = False
        self._careful = _CAREFUL_ACKS

    def refused(self, row: Row) -> None:
        """The broker refused this one reading by name."""
        self._counts[row.stream, row.seq] += 1

    def most_rows(self, row: Row, most: int) -> int:
        """How many rows a message that begins with this one may have: fewer, the more often it failed."""
        return max(1, most >> (4 * self._counts[row.stream, row.seq]))

    def hopeless(self, row: Row) -> bool:
        """Say whether this one reading was tried often enough."""
        return self._counts[row.stream, row.seq] >= _TRIES

    def forget(self, row: Row) -> None:
        """It is settled, one way or the other."""
        self._counts.pop((row.stream, row.seq), None)
