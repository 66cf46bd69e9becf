"""One connection's work: announce what is here, then send live readings first and the backlog beside them."""

import asyncio
import json
import random
from collections import deque
from collections.abc import Callable, Sequence

from edge_agent.kept import Declared, Row
from edge_agent.settings.model import Uplink as Settings
from edge_agent.uplink import birth
from edge_agent.uplink.flights import Flights
from edge_agent.uplink.lanes import Backlog, Lane
from edge_agent.uplink.mqtt import Connected, Outgoing, Session, SessionError
from edge_agent.uplink.payload import Description, Envelope, encode
from edge_agent.uplink.protocol import Acknowledged, Delivery, Gateway
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.window import Window

_LARGEST_PACKET = 64 * 1024
_PACKET_MARGIN = 1024  # for topic and properties
_LEAST_ROOM = 1024  # a smaller message would cost more than the wait for an acknowledgement
_MOST_LIVE = 20_000  # rows; then the log has them
_READ_ROWS = 4_000
_HEALTH_EVERY_S = 30.0
_STATE_EVERY_S = 1.0


class Sending:
    """What is done with one connection, from CONNACK to its end."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        gateway: Gateway,
        delivery: Delivery,
        on_acknowledged: Callable[[Acknowledged], None] | None,
    ) -> None:
        self._name, self._settings, self._gateway, self._delivery = name, settings, gateway, delivery
        self._on_acknowledged = on_acknowledged
        self._topics = Topics(f"{settings.root}/{gateway.site}/{gateway.id}")
        self._loop = asyncio.get_running_loop()
        self.acks = 0
        self.number = 0
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._descriptions: dict[int, Description] = {}
        self._control: deque[tuple[Outgoing, Declared | None]] = deque()
        self._states: dict[str, None] = {}  # devices whose state is to be published, in order
        self._fresh: dict[str, None] = {}  # devices with new readings since their state was published
        self._last: dict[str, Row] = {}
        self._backlog = Backlog()
        self._hungry = asyncio.Event()
        self._quiet = asyncio.Event()
        self._failed_id: int | None = None
        self._backlog_open = False
        self._proved = False
        self._finishing = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def in_flight(self) -> int:
        """Readings on their way to the broker."""
        return self._flights.readings

    async def prepare(self) -> Outgoing:
        """Count the session and return its will. Called once, before the connection is made."""
        self.number = await self._delivery.count_session()
        self._descriptions = {
            id_: Description.parse(*found) for id_, found in (await self._delivery.descriptions()).items()
        }
        backlog = self._delivery.backlog
        return birth.status(self._gateway, self._topics, self.number, "offline", backlog)

    async def run(self, session: Session, connected: Connected, *, proved: bool) -> str:
        """Send until the connection ends; return why it ended.

        ``proved``: the broker says so when it refuses a message. A 3.1.1 broker does not, and so has to pass
        our own status back to us before any reading is trusted to it.
        """
        sizes = {id_: description.names_size for id_, description in self._descriptions.items()}
        self._live, self._history = Lane(sizes), Lane(sizes)
        packet = min(
            connected.maximum_packet or _LARGEST_PACKET, self._settings.max_packet or _LARGEST_PACKET
        )
        self._largest = max(_LEAST_ROOM, packet - _PACKET_MARGIN)
        window = Window(connected.receive_maximum)
        self._flights = Flights(session, window, self._settings.ack_timeout, self._end)
        self._proved = proved
        session.on_ack, session.on_message, session.on_closed = self._acked, self._heard, self._end
        self._delivery.rewind()
        self._backlog.begin(self._delivery.scan_from, self._delivery.last_id)
        self._delivery.on_kept, self._delivery.low_water = self._kept, self._low_water
        self._hold_until = self._loop.time() + self._gateway.clock_wait
        try:
            session.subscribe(self._topics.status)
            await self._announce()
            self._after("backlog", random.uniform(0, self._settings.spread), self._open_backlog)  # noqa: S311
            self._after("clock", self._gateway.clock_wait, self._pump)
            self._health()
            if not proved:
                self._after("proof", self._settings.ack_timeout, self._not_proved)
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read_backlog(), name=f"uplink[{self._name}].backlog")
                try:
                    return await self._ended
                finally:
                    reader.cancel()
        finally:
            self._delivery.rewind()
            self._delivery.on_kept = self._delivery.low_water = None
            self._flights.close()
            for timer in self._timers.values():
                timer.cancel()

    async def finish(self, within: float) -> None:
        """Stop in order: what is live goes out, is acknowledged within so many seconds, then goodbye."""
        self._finishing = True
        try:
            async with asyncio.timeout(within):
                await self._drained()
                self._control.append((self._status("stopped"), None))
                await self._drained()
        except TimeoutError:
            pass
        self._end("")

    async def _drained(self) -> None:
        self._quiet.clear()
        self._pump()
        while (self._flights or self._control or self._live.waiting) and not self._ended.done():
            await self._quiet.wait()
            self._quiet.clear()

    async def _announce(self) -> None:
        self._control.append((self._status("online"), None))
        devices = list(self._gateway.metas)
        self._control.extend((birth.meta(self._gateway, self._topics, device), None) for device in devices)
        for loss in await self._delivery.open_losses():
            self._declare(loss)
        self._states.update(dict.fromkeys(devices))
        self._pump()

    def _status(self, state: str) -> Outgoing:
        return birth.status(self._gateway, self._topics, self.number, state, self._delivery.backlog)

    def _declare(self, loss: Declared) -> None:
        stream = self._delivery.streams[loss.stream]
        self._control.append((birth.loss(self._gateway, self._topics, stream, loss), loss))

    def publish_state(self, device: str) -> None:
        """A device went or came back: say so."""
        self._states[device] = None
        self._pump()

    def _kept(self, rows: Sequence[Row], declared: Sequence[Declared]) -> None:
        for loss in declared:
            self._declare(loss)
        if self._live.waiting + len(rows) > _MOST_LIVE:
            self._live.clear()
            self._backlog.extend(self._delivery.last_id)
            self._hungry.set()
        else:
            self._live.add(rows)
        streams = self._delivery.streams
        for row in rows:
            device = streams[row.stream].device
            self._last[device] = row
            self._fresh[device] = None
        if "states" not in self._timers:
            self._after("states", _STATE_EVERY_S, self._states_due)
        self._pump()

    def _states_due(self) -> None:
        self._timers.pop("states", None)
        self._states.update(self._fresh)
        self._fresh.clear()
        self._pump()

    def _pump(self) -> None:
        """Send what may be sent now: announcements, live readings, states, backlog."""
        try:
            while not self._ended.done() and self._next():
                pass
        except SessionError as error:
            self._end(str(error))
        if self._backlog_open and self._backlog.more and self._history.waiting < _READ_ROWS // 2:
            self._hungry.set()
        if not self._flights:
            self._quiet.set()

    def _next(self) -> bool:
        """Send one message; return False when there is nothing to send, or no room."""
        window = self._flights.window
        if window.in_flight >= window.messages:
            return False
        if self._control:
            message, loss = self._control[0]
            self._flights.send(message, loss=loss)
            self._control.popleft()
            return True
        ready = self._proved and not self._held()
        room = window.room
        enough = room >= _LEAST_ROOM
        if ready and enough and self._live.waiting:
            self._send_run(self._live, room, "live")
            return True
        if self._states and enough and not self._finishing:
            self._send_state(next(iter(self._states)))
            return True
        room = window.backlog_room
        if (
            ready
            and self._backlog_open
            and self._history.waiting
            and room >= _LEAST_ROOM
            and not self._finishing
        ):
            self._send_run(self._history, room, "history")
            return True
        return False

    def _held(self) -> bool:
        """Whether readings wait for the clock to become known."""
        return self._loop.time() < self._hold_until and not self._gateway.clock_known()

    def _send_run(self, lane: Lane, room: int, name: str) -> None:
        run = lane.take(min(room, self._largest))
        assert run is not None
        stream = self._delivery.streams[run.stream]
        envelope = Envelope(self._gateway.site, self._gateway.id, stream.device, stream.epoch, name)
        settled = self._delivery.settled(run.stream)
        description = self._descriptions[run.rows[0].meta]
        payload = encode(envelope, settled, description, run.rows, self._gateway.moment)
        message = Outgoing(self._topics.readings(name, stream.device), payload)
        try:
            self._flights.send(message, run=run, backlog=name != "live")
        except SessionError:
            self._failed_id = run.rows[0].id  # no longer in a lane, and not in flight either
            raise

    def _send_state(self, device: str) -> None:
        row = self._last.get(device)
        last = None if row is None else (row, self._descriptions[row.meta])
        self._flights.send(birth.state(self._gateway, self._topics, device, last))
        del self._states[device]

    def _acked(self, mid: int, refusal: str) -> None:
        if self._ended.done():
            return
        if refusal:
            self._end(
                f"the broker refuses a message ({refusal}); check ACL and quota for {self._topics.base}"
            )
            return
        flight = self._flights.acked(mid)
        if flight is None:
            return
        self.acks += 1
        if flight.run is not None:
            run = flight.run
            self._delivery.settle(run.stream, run.first, run.last)
            if self._on_acknowledged is not None:
                stream = self._delivery.streams[run.stream]
                told = (self._name, stream.device, stream.epoch, run.first, run.last, flight.payload)
                self._on_acknowledged(Acknowledged(*told))
        elif flight.loss is not None:
            self._delivery.settle_loss(flight.loss)
        self._pump()

    def _heard(self, topic: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the session's signature
        if topic != self._topics.status:
            return
        try:
            said = json.loads(payload)
            state, session = said["state"], said["session"]
        except (ValueError, KeyError, TypeError):
            return
        if session == self.number and state == "online" and not self._proved:
            self._proved = True
            self._timers.pop("proof").cancel()
            self._pump()
        elif state == "offline" and not self._finishing:  # the will of an earlier connection came late
            self._control.append((self._status("online"), None))
            self._pump()

    def _not_proved(self) -> None:
        if not self._proved:
            self._end(
                f"the broker does not pass {self._topics.status} back to us; "
                "allow this user to write and read it (see the ACL in config/)"
            )

    def _health(self) -> None:
        if not self._ended.done():
            backlog, acknowledged = self._delivery.backlog, self._delivery.acknowledged
            try:
                message = birth.health(self._gateway, self._topics, backlog, acknowledged)
                self._flights.send(message)
            except SessionError as error:
                self._end(str(error))
            self._after("health", _HEALTH_EVERY_S, self._health)

    def _open_backlog(self) -> None:
        self._backlog_open = True
        self._pump()

    async def _read_backlog(self) -> None:
        """Read the log forward, a piece whenever the lane runs low."""
        delivery = self._delivery
        while True:
            await self._hungry.wait()
            self._hungry.clear()
            if not self._backlog.more:
                continue
            rows = await delivery.read(self._backlog.cursor, self._backlog.limit, _READ_ROWS)
            self._history.add(row for row in rows if delivery.owes(row.stream, row.seq))
            self._backlog.advance(rows)
            self._pump()

    def _low_water(self) -> int:
        waiting = (
            self._flights.low_water(),
            self._backlog.cursor if self._backlog.more else None,
            self._live.low_water(),
            self._history.low_water(),
            self._failed_id,
        )
        return min((id_ for id_ in waiting if id_ is not None), default=self._delivery.last_id + 1)

    def _after(self, name: str, delay: float, call: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(delay, call)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)
            self._quiet.set()
