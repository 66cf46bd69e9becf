"""Circuit breakers: after a refusal that is the uplink's fault only one message at a time goes, to probe."""

import logging
from dataclasses import dataclass, field

from edge_agent.backoff import Backoff
from edge_agent.uplink.lane import Lane
from edge_agent.uplink.refusals import Refusal

log = logging.getLogger(__name__)


@dataclass(slots=True)
class CircuitBreaker:
    """Opens at a refusal that is the uplink's fault: then nothing goes, and after a pause one message probes.

    ``base``: where the gateway's topics lie; ``events``: those of events, where it holds these alone. Times
    are seconds, monotonic.
    """

    base: str
    events: str = ""
    problem: str = ""
    _probe_at: float = 0.0
    _backoff: Backoff = field(default_factory=Backoff)

    def refused(self, now: float, refusal: Refusal) -> float:
        """Open; return in how long a probe may go. What was on its way already does not prolong that."""
        problem = refusal.problem(self.base, self.events)
        if self.problem == problem and now < self._probe_at:
            return self._probe_at - now
        if self.problem != problem:
            log.warning("%s; nothing is given up", problem)
        self.problem = problem
        pause = self._backoff.next()
        self._probe_at = now + pause
        return pause

    def accepted(self) -> None:
        """One was taken: close again."""
        if self.problem:
            self.problem = ""
            self._backoff.reset()

    def allows(self, now: float, in_flight: int) -> bool:
        """Say whether one more message may go; while this is open only one at a time."""
        return not self.problem or (now >= self._probe_at and not in_flight)


class Breakers:
    """One for readings and their losses, and one for events.

    So a broker whose ACL does not know the events' topic stops nothing else.
    """

    def __init__(self, base: str, events: str, events_lane: Lane) -> None:
        self.readings, self.events = CircuitBreaker(base), CircuitBreaker(base, events)
        self._events_lane = events_lane

    def of(self, lane: Lane | None) -> CircuitBreaker:
        """Return the one that what is taken from a lane passes; None: what is taken from none."""
        return self.events if lane is self._events_lane else self.readings

    @property
    def problem(self) -> str:
        """What the broker refuses, "" while it takes all."""
        return self.readings.problem or self.events.problem
