"""One connection's work: announce what is here, then send live readings first and the backlog beside them."""

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial

from edge_agent.row import EVENT_META, Declared, Run
from edge_agent.settings.uplink import Uplink as Settings
from edge_agent.uplink.announcements import Announcements
from edge_agent.uplink.circuit_breaker import Breakers
from edge_agent.uplink.data_message import largest_packet, largest_payload
from edge_agent.uplink.dead_letters import DeadLetters
from edge_agent.uplink.disk_task import run as run_disk_task
from edge_agent.uplink.dispatch import Dispatch
from edge_agent.uplink.in_flight import Flight, InFlight
from edge_agent.uplink.inbound import Inbound
from edge_agent.uplink.interfaces import Delivery, Gateway
from edge_agent.uplink.lanes import Lanes
from edge_agent.uplink.linger import Linger
from edge_agent.uplink.losses import Losses
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.mqtt import Connected, Session
from edge_agent.uplink.payload import Descriptions
from edge_agent.uplink.publisher import Publisher
from edge_agent.uplink.refusals import Refusal
from edge_agent.uplink.selection import passing
from edge_agent.uplink.session_error import SessionError
from edge_agent.uplink.settlement import Settlement
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
    """What is done with one connection, from CONNACK to its end.

    ``Dispatch`` says what goes next, ``Settlement`` what an acknowledgement means; this puts them together,
    takes what the outbox has kept, keeps the times, and ends. ``acks`` counts what the broker took.
    """

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
        self._assemble(session, connected, proved=proved)
        session.on_ack, session.on_closed = self._acked, self._closed
        self._delivery.on_kept, self._delivery.low_water = self._kept, self._low_water
        self._delivery.low_water_of_readings = partial(self._low_water, events=False)
        self._delivery.losses_taken = lambda: self._losses.taken
        try:
            self._inbound.begin()
            if not self._announcements.finishing:
                self._announcements.begin()
                self.pump()
            delay = random.uniform(0, self._settings.spread)  # noqa: S311 - jitter
            self._timers.after("backlog", delay, self._open_backlog)
            self._timers.after("clock", self._hold_until - self._loop.time(), self.pump)
            self._timers.after("refresh", in_a_day(), self._refresh)
            self._health()
            if not proved:
                problem = f"the broker does not pass {self._topics.status} back to us; allow us to write it"
                self._timers.after("proof", self._settings.ack_timeout, partial(self._unproved, problem))
            async with asyncio.TaskGroup() as tasks:
                work = run_disk_task(self._disk_work, self._dead_letters, self._sources, self.pump)
                disk_task = tasks.create_task(work, name="uplink.reader")
                try:
                    return await self._ended
                finally:
                    disk_task.cancel()
        finally:
            self._inbound.end()
            self._delivery.rewind()
            self._delivery.on_kept = self._delivery.low_water = self._delivery.low_water_of_readings = None
            self._end("over")  # an acknowledgement that is told only now would come too late
            self.in_flight.close()
            self._timers.close()

    def _assemble(self, session: Session, connected: Connected, *, proved: bool) -> None:
        """Put together what one session needs."""
        packets = connected.maximum_packet, self._settings.max_packet
        packet = largest_packet(*packets)
        window, sizes = Window(connected.receive_maximum), self.descriptions.sizes
        self.in_flight = InFlight(session, window, self._settings.ack_timeout, self._end)
        self.in_flight.largest, self.in_flight.left_out = packet, self._state.left_out
        lanes = self._lanes = Lanes(self._gateway, self._delivery, self.in_flight, sizes, self._state)
        publisher = self._publisher = Publisher(
            self._gateway, self._topics, self._delivery, self.descriptions, self.in_flight, lanes,
            self._suspects, self._dead_letters, (largest_payload(*packets), packet), self._disk_work.set,
            packs=self._settings.send.gzip and session.five,
        )  # fmt: skip
        linger = self._linger = Linger(self._settings.send.batch, lanes.live, self._timers, self.pump)
        self._sources = self._losses, lanes.events, lanes.history, lanes.repairs, lanes.replays
        inbound = self._inbound = Inbound(
            session, self._topics, self._announcements, self.in_flight, self._state.downlink, self.pump,
            proved=proved,
        )  # fmt: skip
        breakers = self._breakers = Breakers(self._topics.base, self._topics.event("#"), lanes.events.lane)
        self._hold_until = self._state.hold_until(self._loop.time(), self._gateway.clock_wait)
        self._dispatch = Dispatch(
            self._gateway, self._announcements, inbound, lanes, self._losses, linger, publisher,
            self.in_flight, breakers, self._suspects, self._hold_until,
        )  # fmt: skip
        self._settlement = Settlement(
            self._delivery, self._state, self._announcements, inbound, self.in_flight, lanes, self._losses,
            self._dead_letters, breakers, self._timers, self._on_acknowledged, self.pump, self._disk_work.set,
        )  # fmt: skip

    async def finish(self, seconds: float) -> None:
        """Stop in order: what is live goes out, is acknowledged within so many seconds, then goodbye."""
        self._announcements.finishing = True
        self.pump()
        await within(seconds * (1 - _GOODBYE_SHARE), lambda: self._taken(live=True), self._quiet)
        self._announcements.publish_status("stopped")
        self.pump()
        await within(seconds * _GOODBYE_SHARE, lambda: self._taken(live=False), self._quiet)
        self.said_goodbye = not (self.in_flight or self._announcements.urgent or self._ended.done())
        self._end("")

    def _taken(self, *, live: bool) -> bool:
        return self._ended.done() or not (
            self.in_flight or self._announcements.urgent or (live and self._foreground_waits)
        )

    @property
    def _foreground_waits(self) -> bool:
        events = self._lanes.events
        return bool(self._lanes.live.waiting or events.lane.waiting or events.runs_low)

    @property
    def problem(self) -> str:
        """What the broker does not let us do, "" while it takes all."""
        return self._breakers.problem or self._inbound.problem

    def publish_state(self, device: str) -> None:
        """A device went or came back: say so."""
        self._announcements.state_changed(device)
        self.pump()

    def describe(self, gone: Sequence[str], new: Sequence[str]) -> None:
        """Some devices are not on this uplink any more, others are new or described otherwise."""
        self._announcements.described(gone, new)
        self.pump()

    def republish(self, device: str | None, older: Sequence[Outgoing]) -> None:
        """Say once more what is here, or of one device; and before it what was here."""
        self._announcements.republish(device, older)
        self._losses.redeclare()
        self.pump()

    @property
    def drain_s(self) -> float | None:
        """In how many seconds the backlog will be gone; None while that is not known, or none is sent."""
        return self._lanes.drain_s(self._loop.time())

    def _kept(self, runs: Sequence[Run], declared: Sequence[Declared]) -> None:
        if declared:
            self._losses.appended()
        if events := [run for run in runs if run.rows[0].meta == EVENT_META]:
            self._lanes.events.appended()
            runs = [run for run in runs if run not in events]
        if self._lanes.live.waiting + sum(len(run.rows) for run in runs) > _MOST_LIVE:
            self._lanes.live.clear()
            self._lanes.history.extend()
        else:
            self._linger.add()
            self._lanes.live.add(runs)
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
            while not self._ended.done() and self._dispatch.next():
                pass
        except SessionError as error:
            self._end(str(error))
        if any(source.runs_low for source in self._sources):
            self._disk_work.set()
        if not self.in_flight:
            self._quiet.set()

    def _acked(self, mid: int, refusal: Refusal | None) -> None:
        if not self._ended.done():
            self.acks += self._settlement.acked(mid, refusal)

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

    def _closed(self, reason: str) -> None:
        """The broker closed the connection: perhaps because of what was on its way."""
        if not self._ended.done():
            self._suspects.closed(self.in_flight.rows())
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)
            self._quiet.set()
