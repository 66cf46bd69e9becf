"""What an uplink remembers from one connection to the next."""

from dataclasses import dataclass, field

from edge_agent.row import Row
from edge_agent.uplink.downlink import Downlink
from edge_agent.uplink.poison import PoisonSuspects
from edge_agent.uplink.replays import Jobs


@dataclass(slots=True)
class UplinkState:
    """``last`` has each device's newest reading that was kept while connected.

    ``left_out`` are topics whose message the broker can never take, and that was told. ``downlink`` is there
    where the uplink takes commands, ``jobs`` are the replays it was asked for.
    """

    suspects: PoisonSuspects = field(default_factory=PoisonSuspects)
    last: dict[str, Row] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    downlink: Downlink | None = None
    jobs: Jobs = field(default_factory=Jobs)
    _hold_until: float | None = None
    _events_refused_at: float | None = None

    def hold_until(self, now: float, wait: float) -> float:
        """Return until when readings wait for the clock: so many seconds after the link first came up.

        A link that breaks again and again must not begin the wait anew each time. Times are monotonic.
        """
        if self._hold_until is None:
            self._hold_until = now + wait
        return self._hold_until

    def events_refused_for(self, now: float) -> float:
        """An event was refused: return for how many seconds all have been. ``now`` is monotonic."""
        if self._events_refused_at is None:
            self._events_refused_at = now
        return now - self._events_refused_at

    def event_taken(self) -> None:
        """One was not."""
        self._events_refused_at = None
