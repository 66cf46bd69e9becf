"""One connection's work: announce what is here, then send live readings first and the backlog beside them."""

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial

from edge_agent.row import EVENT_META, Declared, Run
from edge_agent.settings.uplink import Uplink as Settings
from edge_agent.uplink.announcements import Announcements
from edge_agent.uplink.data_message import LEAST_ROOM, largest_packet, largest_payload
from edge_agent.uplink.dead_letters import DeadLetters
from edge_agent.uplink.disk_task import read
from edge_agent.uplink.in_flight import Flight, InFlight
from edge_agent.uplink.inbound import Inbound
from edge_agent.uplink.interfaces import Delivery, Gateway
from edge_agent.uplink.lane import Lane
from edge_agent.uplink.lanes import Lanes
from edge_agent.uplink.linger import Linger
from edge_agent.uplink.losses import Losses
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.mqtt import Connected, Session
from edge_agent.uplink.payload import Descriptions
from edge_agent.uplink.publisher import Publisher
from edge_agent.uplink.refusals import CircuitBreaker, Refusal
from edge_agent.uplink.round_robin import RoundRobin
from edge_agent.uplink.selection import passing
from edge_agent.uplink.session_error import SessionError
from edge_agent.uplink.timers import Timers, in_a_day
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.uplink_state import UplinkState
from edge_agent.uplink.wait import within
from edge_agent.uplink.window import Window

_MOST_LIVE = 20_000  # rows; then the log has them
_HEALTH_EVERY_S = 30.0
_STATE_EVERY_S = 1.0
_GOODBYE_SHARE = 0.4  # of the time to stop in


class Sending:
    """What is done with one connection, from CONNACK to its end. ``acks`` counts what the broker took."""

    def __init__(
        self,
        settings: Settings,
        gateway: Gateway,
        delivery: Delivery,
        state: UplinkState,
        on_acknowledged: Callable[[Flight], None],
    ) -> None:
        self._settings, self._gateway, self._delivery = settings, gateway, delivery
        self._state, self._suspects = state, state.suspects
        self._on_acknowledged = on_acknowledged
        self._topics = Topics(f"{settings.root}/{gateway.site}/{gateway.id}", settings.discovery)
        self._loop = asyncio.get_running_loop()
        self.acks, self.said_goodbye = 0, False
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self.descriptions = Descriptions(passing(settings.send))
        self._announcements = Announcements(gateway, self._topics, delivery, self.descriptions, state.last)
        base, events = self._topics.base, self._topics.event("#")
        self._breaker, self._event_breaker = CircuitBreaker(base), CircuitBreaker(base, events)
        self._disk_work, self._quiet = asyncio.Event(), asyncio.Event()
        self._losses, self._timers = Losses(gateway, self._topics, delivery), Timers()
        self._dead_letters = DeadLetters(delivery, self._losses, state)

    async def prepare(self) -> Outgoing:
        """Count the session and return its will. Called once, before the connection is made."""
        self._announcements.session = await self._delivery.count_session()
        self.descriptions.learn(await self._delivery.descriptions())
        return self._announcements.status("offline")

    async def run(self, session: Session, connected: Connected, *, proved: bool) -> str:
        """Send until the connection ends; return why it ended, "" when it was finished.

        ``proved``: the broker says so when it refuses a message. A 3.1.1 broker does not, and so has to pass
        our own status back to us before any reading is trusted to it.
        """
        packets = connected.maximum_packet, self._settings.max_packet
        packet = largest_packet(*packets)
        window, sizes = Window(connected.receive_maximum), self.descriptions.sizes
        self.in_flight = InFlight(session, window, self._settings.ack_timeout, self._end)
        self.in_flight.largest, self.in_flight.left_out = packet, self._state.left_out
        self._lanes = lanes = Lanes(self._gateway, self._delivery, self.in_flight, sizes, self._state)
        self._live = lanes.live
        self._publisher = Publisher(
            self._gateway, self._topics, self._delivery, self.descriptions, self.in_flight, lanes,
            self._suspects, self._dead_letters, (largest_payload(*packets), packet), self._disk_work.set,
            packs=self._settings.send.gzip and session.five,
        )  # fmt: skip
        self._linger = Linger(self._settings.send.batch, self._live, self._timers, self.pump)
        first = (partial(self._next_run, lane) for lane in (lanes.events.lane, lanes.live))
        self._first = RoundRobin(*first)
        beside = (partial(self._next_run, way.lane) for way in (lanes.history, lanes.replays))
        self._beside = RoundRobin(self._next_loss, *beside)
        self._sources = self._losses, lanes.events, lanes.history, lanes.repairs, lanes.replays
        below = self._state.downlink
        self._inbound = Inbound(
            session, self._topics, self._announcements, self.in_flight, below, self.pump, proved=proved
        )
        session.on_ack, session.on_closed = self._acked, self._broke
        self._delivery.on_kept, self._delivery.low_water = self._kept, self._low_water
        self._delivery.low_water_of_readings = partial(self._low_water, events=False)
        self._delivery.losses_taken = lambda: self._losses.taken
        now, delay = self._loop.time(), random.uniform(0, self._settings.spread)  # noqa: S311 - jitter
        self._hold_until = self._state.hold_until(now, self._gateway.clock_wait)
        try:
            self._inbound.begin()
            if not self._announcements.finishing:
                self._announcements.begin()
                self.pump()
            self._timers.after("backlog", delay, self._open_backlog)
            self._timers.after("clock", self._hold_until - now, self.pump)
            self._timers.after("refresh", in_a_day(), self._refresh)
            self._health()
            if not proved:
                problem = f"the broker does not pass {self._topics.status} back to us; allow us to write it"
                self._timers.after("proof", self._settings.ack_timeout, partial(self._unproved, problem))
            async with asyncio.TaskGroup() as tasks:
                work = read(self._disk_work, self._dead_letters, self._sources, self.pump)
                reader = tasks.create_task(work, name="uplink.reader")
                try:
                    return await self._ended
                finally:
                    reader.cancel()
        finally:
            self._inbound.end()
            self._delivery.rewind()
            self._delivery.on_kept = self._delivery.low_water = self._delivery.low_water_of_readings = None
            self._end("over")  # an acknowledgement that is told only now would come too late
            self.in_flight.close()
            self._timers.close()

    async def finish(self, seconds: float) -> None:
        """Stop in order: what is live goes out, is acknowledged within so many seconds, then goodbye."""
        self._announcements.finishing = True
        self.pump()
        await within(seconds * (1 - _GOODBYE_SHARE), lambda: self._taken(live=True), self._quiet)
        self._announcements.say("stopped")
        self.pump()
        await within(seconds * _GOODBYE_SHARE, lambda: self._taken(live=False), self._quiet)
        self.said_goodbye = not (self.in_flight or self._announcements.urgent or self._ended.done())
        self._end("")

    def _taken(self, *, live: bool) -> bool:
        return self._ended.done() or not (
            self.in_flight or self._announcements.urgent or (live and self._first_waits)
        )

    @property
    def _first_waits(self) -> bool:
        events = self._lanes.events
        return bool(self._live.waiting or events.lane.waiting or events.runs_low)

    @property
    def problem(self) -> str:
        """What the broker does not let us do, "" while it takes all."""
        return self._breaker.problem or self._event_breaker.problem or self._inbound.problem

    def publish_state(self, device: str) -> None:
        """A device went or came back: say so."""
        self._announcements.state_changed(device)
        self.pump()

    def described(self, gone: Sequence[str], new: Sequence[str]) -> None:
        """Some devices are not on this uplink any more, others are new or described otherwise."""
        self._announcements.described(gone, new)
        self.pump()

    def republish(self, device: str | None, older: Sequence[Outgoing]) -> None:
        """Say once more what is here, or of one device; and before it what was here."""
        self._announcements.again(device, older)
        self._losses.again()
        self.pump()

    @property
    def drain_s(self) -> float | None:
        """In how many seconds the backlog will be gone; None while that is not known, or none is sent."""
        return self._lanes.drain_s(self._loop.time())

    def _kept(self, runs: Sequence[Run], declared: Sequence[Declared]) -> None:
        if declared:
            self._losses.made()
        if told := [run for run in runs if run.rows[0].meta == EVENT_META]:
            self._lanes.events.made()
            runs = [run for run in runs if run not in told]
        if self._live.waiting + sum(len(run.rows) for run in runs) > _MOST_LIVE:
            self._live.clear()
            self._lanes.history.extend()
        else:
            self._linger.add()
            self._live.add(runs)
        self._announcements.kept(runs)
        if "states" not in self._timers:
            every = max(_STATE_EVERY_S, self._settings.send.batch)
            self._timers.after("states", every, self._states_due)
        self.pump()

    def _states_due(self) -> None:
        self._announcements.states_due()
        self.pump()

    def pump(self) -> None:
        """Send what may be sent now: announcements, live readings, states, backlog."""
        try:
            while not self._ended.done() and self._next():
                pass
        except SessionError as error:
            self._end(str(error))
        if any(source.runs_low for source in self._sources):
            self._disk_work.set()
        if not self.in_flight:
            self._quiet.set()

    def _next(self) -> bool:
        """Send one message; return False when there is nothing to send, or no room."""
        if self.in_flight.window.in_flight >= self.in_flight.window.messages:
            return False
        return (
            self._next_urgent()
            or self._inbound.answer()
            or self._first.next(self.in_flight.window.room)
            or (not self._announcements.finishing and self._next_when_running())
        )

    def _next_when_running(self) -> bool:
        return (
            self._next_state()
            or self._beside.next(self.in_flight.window.backlog_room)
            or self._next_run(self._lanes.repairs.lane, self.in_flight.window.backlog_room)
        )

    def _next_urgent(self) -> bool:
        if urgent := self._announcements.urgent:
            self.in_flight.send(self._announcements.next_urgent())
        return urgent

    def _next_loss(self, room: int) -> bool:
        return (
            room >= LEAST_ROOM and self._readings_may_go(self._breaker) and self._losses.send(self.in_flight)
        )

    def _next_state(self) -> bool:
        if self.in_flight.window.room < LEAST_ROOM or not self._announcements.states:
            return False
        self.in_flight.send(self._announcements.next_state())
        return True

    def _next_run(self, lane: Lane, room: int) -> bool:
        breaker = self._breaker_of(lane)
        if not lane.waiting or room < LEAST_ROOM or not self._readings_may_go(breaker):
            return False
        if lane is self._live and not (self._linger.allows() or self._announcements.finishing):
            return False
        self._publisher.send(lane, LEAST_ROOM if breaker.problem else room)  # a probe is small
        return True

    def _breaker_of(self, lane: Lane | None) -> CircuitBreaker:
        """Events have one of their own: a broker whose ACL does not know their topic stops nothing else."""
        return self._event_breaker if lane is self._lanes.events.lane else self._breaker

    def _readings_may_go(self, breaker: CircuitBreaker) -> bool:
        """Not before the broker is proved, the clock known, and nothing of ours refused."""
        now, flying = self._loop.time(), self.in_flight.runs
        waits_for_clock = now < self._hold_until and not self._gateway.clock_known()
        one_at_a_time = self._suspects.careful and flying
        if breaker is self._event_breaker:  # it does not wait for the readings, some of which may always fly
            flying = self.in_flight.of(self._lanes.events.lane)
        return (
            self._inbound.proved and not waits_for_clock and not one_at_a_time and breaker.allows(now, flying)
        )

    def _refused(self, flight: Flight, refusal: Refusal) -> None:
        """Nothing is given up here: what was refused goes back, and comes again."""
        run, breaker = flight.run, self._breaker_of(flight.lane)
        if flight.reply is not None:
            self._inbound.refused(flight, flight.reply, refusal.name)
            self.pump()
            return
        if run is not None and flight.lane is not None:
            if breaker is self._event_breaker and self._dead_letters.outlived(run.rows[0], self._loop.time()):
                self._disk_work.set()
                return
            flight.lane.put_back(run)
            if refusal.of_the_reading:
                self._suspects.refused(run.rows)
                self.pump()
                return
        elif refusal.of_the_reading:
            self.in_flight.leave_out(flight.topic, refusal.name)
            return
        elif flight.loss is not None:
            self._losses.put_back(flight.loss)
        self._timers.after(f"breaker {id(breaker)}", breaker.refused(self._loop.time(), refusal), self.pump)

    def _acked(self, mid: int, refusal: Refusal | None) -> None:
        if self._ended.done() or (flight := self.in_flight.acked(mid)) is None:
            return
        if refusal is not None and (flight.owed or not refusal.nobody):
            self._refused(flight, refusal)
            return
        self.acks += 1
        self._suspects.acked()
        if flight.run is not None:
            self._breaker_of(flight.lane).accepted()
            self._suspects.forget(flight.run.rows[0])
            self._lanes.taken(flight, self._loop.time())
            if flight.lane is self._lanes.events.lane:
                self._state.event_taken()
                self._announcements.retire()
            else:
                self._on_acknowledged(flight)
        elif flight.loss is not None:
            self._breaker.accepted()
            self._delivery.settle_loss(flight.loss)
        elif flight.reply is not None:
            self._inbound.answered(flight.reply)
        self.pump()

    def _unproved(self, problem: str) -> None:
        if not self._inbound.proved:
            self._end(problem)

    def _health(self) -> None:
        try:
            self.in_flight.send(self._announcements.health(self.drain_s, self._inbound.counts))
        except SessionError as error:
            self._end(str(error))
        self._announcements.retire()
        self.pump()  # the clock may have become known, which nobody tells
        self._timers.after("health", _HEALTH_EVERY_S, self._health)

    def _refresh(self) -> None:
        self._announcements.refresh()
        self._timers.after("refresh", in_a_day(), self._refresh)
        self.pump()

    def _open_backlog(self) -> None:
        self._lanes.open(self._loop.time())
        self.pump()

    def _low_water(self, *, events: bool = True) -> int:
        owed = self._lanes.low_water(events=events)
        places = self._dead_letters.low_water(), owed, self._publisher.low_water()
        return min((id_ for id_ in places if id_ is not None), default=self._delivery.last_id + 1)

    def _broke(self, reason: str) -> None:
        """The broker closed the connection: perhaps because of what was on its way."""
        if not self._ended.done():
            self._suspects.closed(self.in_flight.rows())
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)
            self._quiet.set()
