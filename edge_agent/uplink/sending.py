"""One connection's work: announce what is here, then send live readings first and the backlog beside them."""

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial

from edge_agent.row import EVENT_META, Declared, Run
from edge_agent.settings.uplink import Uplink as Settings
from edge_agent.uplink.announcements import Announcements
from edge_agent.uplink.batching import Batching
from edge_agent.uplink.ends import SessionError
from edge_agent.uplink.flights import Flight, Flights
from edge_agent.uplink.hearing import Hearing
from edge_agent.uplink.lanes import Lane
from edge_agent.uplink.loading import Loading
from edge_agent.uplink.losses import Losses
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.mqtt import Connected, Session
from edge_agent.uplink.payload import Descriptions
from edge_agent.uplink.protocol import Delivery, Gateway
from edge_agent.uplink.reader import read
from edge_agent.uplink.readings import LEAST_ROOM, largest_packet, largest_payload
from edge_agent.uplink.refusals import Gate, Refusal
from edge_agent.uplink.rejections import Rejections
from edge_agent.uplink.remembered import Remembered
from edge_agent.uplink.selection import passing
from edge_agent.uplink.timers import Timers, in_a_day
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.turns import Turns
from edge_agent.uplink.ways import Ways
from edge_agent.uplink.window import Window
from edge_agent.uplink.within import within

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
        remembered: Remembered,
        on_acknowledged: Callable[[Flight], None],
    ) -> None:
        self._settings, self._gateway, self._delivery = settings, gateway, delivery
        self._remembered, self._suspects = remembered, remembered.suspects
        self._on_acknowledged = on_acknowledged
        self._topics = Topics(f"{settings.root}/{gateway.site}/{gateway.id}", settings.discovery)
        self._loop = asyncio.get_running_loop()
        self.acks, self.said_goodbye = 0, False
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self.descriptions = Descriptions(passing(settings.send))
        self._said = Announcements(gateway, self._topics, delivery, self.descriptions, remembered.last)
        base, events = self._topics.base, self._topics.event("#")
        self._gate, self._event_gate = Gate(base), Gate(base, events)
        self._hungry, self._quiet = asyncio.Event(), asyncio.Event()
        self._losses, self._timers = Losses(gateway, self._topics, delivery), Timers()
        self._rejections = Rejections(delivery, self._losses, remembered)

    async def prepare(self) -> Outgoing:
        """Count the session and return its will. Called once, before the connection is made."""
        self._said.session = await self._delivery.count_session()
        self.descriptions.learn(await self._delivery.descriptions())
        return self._said.status("offline")

    async def run(self, session: Session, connected: Connected, *, proved: bool) -> str:
        """Send until the connection ends; return why it ended, "" when it was finished.

        ``proved``: the broker says so when it refuses a message. A 3.1.1 broker does not, and so has to pass
        our own status back to us before any reading is trusted to it.
        """
        packets = connected.maximum_packet, self._settings.max_packet
        packet = largest_packet(*packets)
        window, sizes = Window(connected.receive_maximum), self.descriptions.sizes
        self.flights = Flights(session, window, self._settings.ack_timeout, self._end)
        self.flights.largest, self.flights.left_out = packet, self._remembered.left_out
        self._ways = ways = Ways(self._gateway, self._delivery, self.flights, sizes, self._remembered)
        self._live = ways.live
        self._loading = Loading(
            self._gateway, self._topics, self._delivery, self.descriptions, self.flights, ways,
            self._suspects, self._rejections, (largest_payload(*packets), packet), self._hungry.set,
            packs=self._settings.send.gzip and session.five,
        )  # fmt: skip
        self._batching = Batching(self._settings.send.batch, self._live, self._timers, self.pump)
        first = (partial(self._next_run, lane) for lane in (ways.events.lane, ways.live))
        self._first = Turns(*first)
        beside = (partial(self._next_run, way.lane) for way in (ways.history, ways.replays))
        self._beside = Turns(self._next_loss, *beside)
        self._sources = self._losses, ways.events, ways.history, ways.repairs, ways.replays
        below = self._remembered.downlink
        self._hearing = Hearing(
            session, self._topics, self._said, self.flights, below, self.pump, proved=proved
        )
        session.on_ack, session.on_closed = self._acked, self._broke
        self._delivery.on_kept, self._delivery.low_water = self._kept, self._low_water
        self._delivery.low_water_of_readings = partial(self._low_water, events=False)
        self._delivery.losses_taken = lambda: self._losses.taken
        now, delay = self._loop.time(), random.uniform(0, self._settings.spread)  # noqa: S311 - jitter
        self._hold_until = self._remembered.hold_until(now, self._gateway.clock_wait)
        try:
            self._hearing.begin()
            if not self._said.finishing:
                self._said.begin()
                self.pump()
            self._timers.after("backlog", delay, self._open_backlog)
            self._timers.after("clock", self._hold_until - now, self.pump)
            self._timers.after("refresh", in_a_day(), self._refresh)
            self._health()
            if not proved:
                problem = f"the broker does not pass {self._topics.status} back to us; allow us to write it"
                self._timers.after("proof", self._settings.ack_timeout, partial(self._unproved, problem))
            async with asyncio.TaskGroup() as tasks:
                work = read(self._hungry, self._rejections, self._sources, self.pump)
                reader = tasks.create_task(work, name="uplink.reader")
                try:
                    return await self._ended
                finally:
                    reader.cancel()
        finally:
            self._hearing.end()
            self._delivery.rewind()
            self._delivery.on_kept = self._delivery.low_water = self._delivery.low_water_of_readings = None
            self._end("over")  # an acknowledgement that is told only now would come too late
            self.flights.close()
            self._timers.close()

    async def finish(self, seconds: float) -> None:
        """Stop in order: what is live goes out, is acknowledged within so many seconds, then goodbye."""
        self._said.finishing = True
        self.pump()
        await within(seconds * (1 - _GOODBYE_SHARE), lambda: self._taken(live=True), self._quiet)
        self._said.say("stopped")
        self.pump()
        await within(seconds * _GOODBYE_SHARE, lambda: self._taken(live=False), self._quiet)
        self.said_goodbye = not (self.flights or self._said.urgent or self._ended.done())
        self._end("")

    def _taken(self, *, live: bool) -> bool:
        return self._ended.done() or not (self.flights or self._said.urgent or (live and self._first_waits))

    @property
    def _first_waits(self) -> bool:
        events = self._ways.events
        return bool(self._live.waiting or events.lane.waiting or events.hungry)

    @property
    def problem(self) -> str:
        """What the broker does not let us do, "" while it takes all."""
        return self._gate.problem or self._event_gate.problem or self._hearing.problem

    def publish_state(self, device: str) -> None:
        """A device went or came back: say so."""
        self._said.state_changed(device)
        self.pump()

    def described(self, gone: Sequence[str], new: Sequence[str]) -> None:
        """Some devices are not on this uplink any more, others are new or described otherwise."""
        self._said.described(gone, new)
        self.pump()

    def republish(self, device: str | None, older: Sequence[Outgoing]) -> None:
        """Say once more what is here, or of one device; and before it what was here."""
        self._said.again(device, older)
        self._losses.again()
        self.pump()

    @property
    def drain_s(self) -> float | None:
        """In how many seconds the backlog will be gone; None while that is not known, or none is sent."""
        return self._ways.drain_s(self._loop.time())

    def _kept(self, runs: Sequence[Run], declared: Sequence[Declared]) -> None:
        if declared:
            self._losses.made()
        if told := [run for run in runs if run.rows[0].meta == EVENT_META]:
            self._ways.events.made()
            runs = [run for run in runs if run not in told]
        if self._live.waiting + sum(len(run.rows) for run in runs) > _MOST_LIVE:
            self._live.clear()
            self._ways.history.extend()
        else:
            self._batching.add()
            self._live.add(runs)
        self._said.kept(runs)
        if "states" not in self._timers:
            every = max(_STATE_EVERY_S, self._settings.send.batch)
            self._timers.after("states", every, self._states_due)
        self.pump()

    def _states_due(self) -> None:
        self._said.states_due()
        self.pump()

    def pump(self) -> None:
        """Send what may be sent now: announcements, live readings, states, backlog."""
        try:
            while not self._ended.done() and self._next():
                pass
        except SessionError as error:
            self._end(str(error))
        if any(source.hungry for source in self._sources):
            self._hungry.set()
        if not self.flights:
            self._quiet.set()

    def _next(self) -> bool:
        """Send one message; return False when there is nothing to send, or no room."""
        if self.flights.window.in_flight >= self.flights.window.messages:
            return False
        return (
            self._next_urgent()
            or self._hearing.answer()
            or self._first.next(self.flights.window.room)
            or (not self._said.finishing and self._next_when_running())
        )

    def _next_when_running(self) -> bool:
        return (
            self._next_state()
            or self._beside.next(self.flights.window.backlog_room)
            or self._next_run(self._ways.repairs.lane, self.flights.window.backlog_room)
        )

    def _next_urgent(self) -> bool:
        if urgent := self._said.urgent:
            self.flights.send(self._said.next_urgent())
        return urgent

    def _next_loss(self, room: int) -> bool:
        return room >= LEAST_ROOM and self._readings_may_go(self._gate) and self._losses.send(self.flights)

    def _next_state(self) -> bool:
        if self.flights.window.room < LEAST_ROOM or not self._said.states:
            return False
        self.flights.send(self._said.next_state())
        return True

    def _next_run(self, lane: Lane, room: int) -> bool:
        gate = self._gate_of(lane)
        if not lane.waiting or room < LEAST_ROOM or not self._readings_may_go(gate):
            return False
        if lane is self._live and not (self._batching.allows() or self._said.finishing):
            return False
        self._loading.send(lane, LEAST_ROOM if gate.problem else room)  # a probe is small
        return True

    def _gate_of(self, lane: Lane | None) -> Gate:
        """Events have one of their own: a broker whose ACL does not know their topic stops nothing else."""
        return self._event_gate if lane is self._ways.events.lane else self._gate

    def _readings_may_go(self, gate: Gate) -> bool:
        """Not before the broker is proved, the clock known, and nothing of ours refused."""
        now, flying = self._loop.time(), self.flights.runs
        waits_for_clock = now < self._hold_until and not self._gateway.clock_known()
        one_at_a_time = self._suspects.careful and flying
        if gate is self._event_gate:  # it does not wait for the readings, some of which may always fly
            flying = self.flights.of(self._ways.events.lane)
        return self._hearing.proved and not waits_for_clock and not one_at_a_time and gate.allows(now, flying)

    def _refused(self, flight: Flight, refusal: Refusal) -> None:
        """Nothing is given up here: what was refused goes back, and comes again."""
        run, gate = flight.run, self._gate_of(flight.lane)
        if flight.reply is not None:
            self._hearing.refused(flight, flight.reply, refusal.name)
            self.pump()
            return
        if run is not None and flight.lane is not None:
            if gate is self._event_gate and self._rejections.outlived(run.rows[0], self._loop.time()):
                self._hungry.set()
                return
            flight.lane.put_back(run)
            if refusal.of_the_reading:
                self._suspects.refused(run.rows)
                self.pump()
                return
        elif refusal.of_the_reading:
            self.flights.leave_out(flight.topic, refusal.name)
            return
        elif flight.loss is not None:
            self._losses.put_back(flight.loss)
        self._timers.after(f"gate {id(gate)}", gate.refused(self._loop.time(), refusal), self.pump)

    def _acked(self, mid: int, refusal: Refusal | None) -> None:
        if self._ended.done() or (flight := self.flights.acked(mid)) is None:
            return
        if refusal is not None and (flight.owed or not refusal.nobody):
            self._refused(flight, refusal)
            return
        self.acks += 1
        self._suspects.acked()
        if flight.run is not None:
            self._gate_of(flight.lane).accepted()
            self._suspects.forget(flight.run.rows[0])
            self._ways.taken(flight, self._loop.time())
            if flight.lane is self._ways.events.lane:
                self._remembered.event_taken()
                self._said.retire()
            else:
                self._on_acknowledged(flight)
        elif flight.loss is not None:
            self._gate.accepted()
            self._delivery.settle_loss(flight.loss)
        elif flight.reply is not None:
            self._hearing.answered(flight.reply)
        self.pump()

    def _unproved(self, problem: str) -> None:
        if not self._hearing.proved:
            self._end(problem)

    def _health(self) -> None:
        try:
            self.flights.send(self._said.health(self.drain_s, self._hearing.counts))
        except SessionError as error:
            self._end(str(error))
        self._said.retire()
        self.pump()  # the clock may have become known, which nobody tells
        self._timers.after("health", _HEALTH_EVERY_S, self._health)

    def _refresh(self) -> None:
        self._said.refresh()
        self._timers.after("refresh", in_a_day(), self._refresh)
        self.pump()

    def _open_backlog(self) -> None:
        self._ways.open(self._loop.time())
        self.pump()

    def _low_water(self, *, events: bool = True) -> int:
        owed = self._ways.low_water(events=events)
        places = self._rejections.low_water(), owed, self._loading.low_water()
        return min((id_ for id_ in places if id_ is not None), default=self._delivery.last_id + 1)

    def _broke(self, reason: str) -> None:
        """The broker closed the connection: perhaps because of what was on its way."""
        if not self._ended.done():
            self._suspects.closed(self.flights.rows())
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)
            self._quiet.set()
