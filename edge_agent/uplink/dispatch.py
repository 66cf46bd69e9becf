"""Which message goes next, of all that wait: what people look at first, and never more than the window takes.

The order: births and descriptions; answers to commands; live readings and events in turns; states; what may
take long, in turns: losses, the backlog, replays; and last repaired times. A planned stop ends with live
readings and events: the log has all the rest.
"""

import asyncio
from functools import partial

from edge_agent.uplink.announcements import Announcements
from edge_agent.uplink.circuit_breaker import Breakers, CircuitBreaker
from edge_agent.uplink.data_message import LEAST_ROOM
from edge_agent.uplink.in_flight import InFlight
from edge_agent.uplink.inbound import Inbound
from edge_agent.uplink.interfaces import Gateway
from edge_agent.uplink.lane import Lane
from edge_agent.uplink.lanes import Lanes
from edge_agent.uplink.linger import Linger
from edge_agent.uplink.losses import Losses
from edge_agent.uplink.poison import PoisonSuspects
from edge_agent.uplink.publisher import Publisher
from edge_agent.uplink.round_robin import RoundRobin


class Dispatch:
    """Sends one message at a time of one connection. ``hold_until``: readings wait so long for the clock."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that something may wait in, or wait for
        self,
        gateway: Gateway,
        announcements: Announcements,
        inbound: Inbound,
        lanes: Lanes,
        losses: Losses,
        linger: Linger,
        publisher: Publisher,
        in_flight: InFlight,
        breakers: Breakers,
        suspects: PoisonSuspects,
        hold_until: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._gateway, self._announcements, self._inbound = gateway, announcements, inbound
        self._lanes, self._losses, self._linger = lanes, losses, linger
        self._publisher, self._in_flight, self._breakers = publisher, in_flight, breakers
        self._suspects, self._hold_until = suspects, hold_until
        self._foreground = RoundRobin(*(partial(self._run, lane) for lane in (lanes.events.lane, lanes.live)))
        background = (partial(self._run, source.lane) for source in (lanes.history, lanes.replays))
        self._background = RoundRobin(self._loss, *background)

    def next(self) -> bool:
        """Send one message; return False when there is nothing to send, or no room."""
        window = self._in_flight.window
        if window.in_flight >= window.messages:
            return False
        return (
            self._urgent()
            or self._inbound.answer()
            or self._foreground.next(window.room)
            or (not self._announcements.finishing and self._when_running())
        )

    def _when_running(self) -> bool:
        window = self._in_flight.window
        return (
            self._state()
            or self._background.next(window.backlog_room)
            or self._run(self._lanes.repairs.lane, window.backlog_room)
        )

    def _urgent(self) -> bool:
        if urgent := self._announcements.urgent:
            self._in_flight.send(self._announcements.next_urgent())
        return urgent

    def _loss(self, room: int) -> bool:
        return (
            room >= LEAST_ROOM
            and self._readings_may_go(self._breakers.readings)
            and self._losses.send(self._in_flight)
        )

    def _state(self) -> bool:
        if self._in_flight.window.room < LEAST_ROOM or not self._announcements.states:
            return False
        self._in_flight.send(self._announcements.next_state())
        return True

    def _run(self, lane: Lane, room: int) -> bool:
        breaker = self._breakers.of(lane)
        if not lane.waiting or room < LEAST_ROOM or not self._readings_may_go(breaker):
            return False
        if lane is self._lanes.live and not (self._linger.allows() or self._announcements.finishing):
            return False
        self._publisher.send(lane, LEAST_ROOM if breaker.problem else room)  # a probe is small
        return True

    def _readings_may_go(self, breaker: CircuitBreaker) -> bool:
        """Not before the broker is proved, the clock known, and nothing of ours refused."""
        now, flying = self._loop.time(), self._in_flight.runs
        waits_for_clock = now < self._hold_until and not self._gateway.clock_known()
        one_at_a_time = self._suspects.careful and flying
        if breaker is self._breakers.events:  # readings, some of which may always fly, do not hold events up
            flying = self._in_flight.of(self._lanes.events.lane)
        return (
            self._inbound.proved and not waits_for_clock and not one_at_a_time and breaker.allows(now, flying)
        )
