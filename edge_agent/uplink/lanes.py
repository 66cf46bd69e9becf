"""The lanes on which rows go in one connection: live, events, the backlog, and what goes out once more."""

from edge_agent.uplink.events import Events
from edge_agent.uplink.history import History
from edge_agent.uplink.in_flight import Flight, InFlight
from edge_agent.uplink.interfaces import Delivery, Gateway
from edge_agent.uplink.lane import Lane
from edge_agent.uplink.repairs import Repairs
from edge_agent.uplink.replays import Replays
from edge_agent.uplink.uplink_state import UplinkState


class Lanes:
    """All of them, and what it means that a message of one was taken."""

    def __init__(
        self,
        gateway: Gateway,
        delivery: Delivery,
        in_flight: InFlight,
        names_size: dict[int, int],
        state: UplinkState,
    ) -> None:
        self.live, self.history = Lane(names_size), History(delivery, names_size)
        self.events = Events(delivery)
        self._owed = self.live, self.history.lane, self.events.lane
        self.repairs = Repairs(gateway, delivery, in_flight, names_size)
        self.replays = Replays(delivery, in_flight, names_size, state.jobs.waiting)
        self._delivery, self._in_flight = delivery, in_flight

    def open(self, now: float) -> None:
        """What is not live may flow. Times are seconds, monotonic."""
        self.history.open(now)
        self.repairs.open()
        self.replays.open()

    def owes(self, lane: Lane) -> bool:
        """Say whether what is in a lane is owed; else the broker has taken it before."""
        return lane in self._owed

    def progressed(self, lane: Lane) -> None:
        """Some of what is not owed was taken, or left out."""
        if lane is self.repairs.lane:
            self.repairs.progressed()
        else:
            self.replays.progressed()

    def taken(self, flight: Flight, now: float) -> None:
        """The broker has taken a message of readings, or an event."""
        run, lane = flight.run, flight.lane
        assert run is not None
        assert lane is not None
        if not self.owes(lane):
            self.progressed(lane)
            return
        self._delivery.settle(run.stream, run.first, run.last)
        if not flight.timed:
            self._delivery.repairs.owe(run.rows)
        if lane is self.history.lane:
            self.history.acked(len(run.rows), now)

    def drain_s(self, now: float) -> float | None:
        """In how many seconds the backlog will be gone; None while that is not known, or none is sent."""
        drains = self.history.waits or self._in_flight.history
        return self.history.drain_s(now) if drains else None

    def low_water(self, *, events: bool) -> int | None:
        """The lowest log id that waits or is on its way, and is owed; None where there is none.

        ``events``: of these, too; else of readings alone.
        """
        lanes = self._owed if events else self._owed[:2]
        places = (
            self._in_flight.low_water(lanes),
            self.live.low_water(),
            self.history.low_water(),
            self.events.low_water() if events else None,
        )
        return min((id_ for id_ in places if id_ is not None), default=None)
