"""What follows from a PUBACK: what was taken is settled, what was refused goes back and comes again.

Nothing is given up here. A refusal is the reading's fault or the uplink's: the first makes it a suspect, the
second opens a circuit breaker.
"""

import asyncio
from collections.abc import Callable

from edge_agent.uplink.announcements import Announcements
from edge_agent.uplink.circuit_breaker import Breakers
from edge_agent.uplink.dead_letters import DeadLetters
from edge_agent.uplink.in_flight import Flight, InFlight
from edge_agent.uplink.inbound import Inbound
from edge_agent.uplink.interfaces import Delivery
from edge_agent.uplink.lanes import Lanes
from edge_agent.uplink.losses import Losses
from edge_agent.uplink.refusals import Refusal
from edge_agent.uplink.timers import Timers
from edge_agent.uplink.uplink_state import UplinkState


class Settlement:
    """Settles the messages of one connection.

    ``pump`` is called when more may go, ``disk_work`` when something is to be written to the ledger.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that follows from it
        self,
        delivery: Delivery,
        state: UplinkState,
        announcements: Announcements,
        inbound: Inbound,
        in_flight: InFlight,
        lanes: Lanes,
        losses: Losses,
        dead_letters: DeadLetters,
        breakers: Breakers,
        timers: Timers,
        on_acknowledged: Callable[[Flight], None],
        pump: Callable[[], None],
        disk_work: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._delivery, self._state, self._announcements = delivery, state, announcements
        self._inbound, self._in_flight, self._lanes = inbound, in_flight, lanes
        self._losses, self._dead_letters, self._breakers = losses, dead_letters, breakers
        self._timers, self._on_acknowledged = timers, on_acknowledged
        self._pump, self._disk_work = pump, disk_work

    def acked(self, mid: int, refusal: Refusal | None) -> bool:
        """The broker has answered a message: it took it, or says why not. Returns whether it took it."""
        flight = self._in_flight.acked(mid)
        if flight is None:
            return False
        if refusal is not None and (flight.owed or not refusal.nobody):
            self._refused(flight, refusal)
            return False
        self._state.suspects.acked()
        if flight.run is not None:
            self._breakers.of(flight.lane).accepted()
            self._state.suspects.forget(flight.run.rows[0])
            self._lanes.taken(flight, self._loop.time())
            if flight.lane is self._lanes.events.lane:
                self._state.event_taken()
                self._announcements.retire()
            else:
                self._on_acknowledged(flight)
        elif flight.loss is not None:
            self._breakers.readings.accepted()
            self._delivery.settle_loss(flight.loss)
        elif flight.reply is not None:
            self._inbound.answered(flight.reply)
        self._pump()
        return True

    def _refused(self, flight: Flight, refusal: Refusal) -> None:
        now, run, breaker = self._loop.time(), flight.run, self._breakers.of(flight.lane)
        if flight.reply is not None:
            self._inbound.refused(flight, flight.reply, refusal.name)
            self._pump()
            return
        if run is not None and flight.lane is not None:
            if breaker is self._breakers.events and self._dead_letters.outlived(run.rows[0], now):
                self._disk_work()
                return
            flight.lane.put_back(run)
            if refusal.of_the_reading:
                self._state.suspects.refused(run.rows)
                self._pump()
                return
        elif refusal.of_the_reading:
            self._in_flight.leave_out(flight.topic, refusal.name)
            return
        elif flight.loss is not None:
            self._losses.put_back(flight.loss)
        self._timers.after(f"breaker {id(breaker)}", breaker.refused(now, refusal), self._pump)
