"""Messages that the broker has not acknowledged yet, and whether it makes progress with them."""

import asyncio
import logging
import sys
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from edge_agent.row import Declared, Row, Run
from edge_agent.uplink.lane import Lane
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.mqtt import Session
from edge_agent.uplink.tcp_info import TcpProgress
from edge_agent.uplink.window import Window

log = logging.getLogger(__name__)

_OVERDUE = 3  # times ack_timeout, for one message while others are acknowledged


class Flight(NamedTuple):
    """A message on its way. ``run`` or ``loss`` say what an acknowledgement settles.

    ``lane`` is where a run was taken from; ``timed``: the clock was known when it was sent. ``reply`` is the
    key of an answer.
    """

    size: int
    sent_at: float
    backlog: bool
    run: Run | None
    payload: bytes
    loss: Declared | None
    lane: Lane | None
    timed: bool
    topic: str
    reply: str | None = None

    @property
    def owed(self) -> bool:
        """Whether it has readings, an event, or what was lost of them."""
        return self.run is not None or self.loss is not None


class InFlight:
    """All QoS 1 messages on their way, within the window.

    Acknowledgements that stop are a fault even if the connection looks fine: when neither one came nor the
    kernel got rid of a byte for ``ack_timeout`` seconds, ``on_stuck`` is told why the session must end.
    ``largest`` is what the broker takes, in bytes; what is larger and no reading is left out, and named once.
    """

    def __init__(
        self, session: Session, window: Window, ack_timeout: float, on_stuck: Callable[[str], None]
    ) -> None:
        self.window = window
        self._session, self._ack_timeout, self._on_stuck = session, ack_timeout, on_stuck
        self._loop = asyncio.get_running_loop()
        self._flying: dict[int, Flight] = {}
        self._acks = 0
        self._timer: asyncio.TimerHandle | None = None
        self.largest = sys.maxsize
        self.left_out: set[str] = set()

    def __len__(self) -> int:
        """How many messages are on their way."""
        return len(self._flying)

    @property
    def readings(self) -> int:
        """How many readings are on their way."""
        return sum(len(flight.run.rows) for flight in self._flying.values() if flight.run is not None)

    @property
    def runs(self) -> int:
        """How many messages of readings, or of what was lost of them, are on their way."""
        return sum(flight.owed for flight in self._flying.values())

    def of(self, lane: Lane) -> int:
        """How many messages are on their way that were taken from a lane."""
        return sum(flight.lane is lane for flight in self._flying.values())

    @property
    def history(self) -> bool:
        """Whether some of it is backlog."""
        return any(flight.backlog and flight.run is not None for flight in self._flying.values())

    def rows(self) -> list[Sequence[Row]]:
        """The rows of each message of readings on its way."""
        return [flight.run.rows for flight in self._flying.values() if flight.run is not None]

    def send(  # noqa: PLR0913 - each is a fact about the message
        self,
        message: Outgoing,
        *,
        run: Run | None = None,
        backlog: bool = False,
        loss: Declared | None = None,
        lane: Lane | None = None,
        timed: bool = True,
        reply: str | None = None,
    ) -> None:
        """Publish a message.

        Raises:
            SessionError: the connection is gone.
        """
        if run is None and (message := message.within(self.largest)).packet_size > self.largest:
            self.leave_out(message.topic, f"{message.packet_size} bytes")
            return
        mid = self._session.publish(message)
        if message.qos:
            size, now = len(message.payload), self._loop.time()
            self._flying[mid] = Flight(
                size, now, backlog, run, message.payload, loss, lane, timed, message.topic, reply
            )
            self.window.sent(size, now, backlog=backlog)
            if self._timer is None:
                self._await_progress()

    def leave_out(self, topic: str, why: str) -> None:
        """A message that is no reading can never be taken: say so once, and go on with the others."""
        if topic not in self.left_out:
            self.left_out.add(topic)
            log.warning(
                "%s is more than the broker takes (%s), and is left out; raise the broker's limit", topic, why
            )

    def acked(self, mid: int) -> Flight | None:
        """The broker has taken a message; return it, None if it is none of ours."""
        flight = self._flying.pop(mid, None)
        if flight is not None:
            self._acks += 1
            now = self._loop.time()
            self.window.acked(flight.size, now - flight.sent_at, now, backlog=flight.backlog)
        return flight

    @property
    def untimed(self) -> bool:
        """Whether readings are on their way that were sent before the clock was known."""
        return not all(flight.timed for flight in self._flying.values())

    def low_water(self, lanes: Collection[Lane]) -> int | None:
        """The lowest log id on its way that was taken from one of these lanes, or None."""
        flying = self._flying.values()
        return min((f.run.rows[0].id for f in flying if f.run is not None and f.lane in lanes), default=None)

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()

    def _await_progress(self) -> None:
        before = self._session.progress()
        self._timer = self._loop.call_later(self._ack_timeout, self._check_progress, self._acks, before)

    def _check_progress(self, acks: int, before: TcpProgress) -> None:
        self._timer = None
        if not self._flying:
            return
        oldest = min(flight.sent_at for flight in self._flying.values())
        if self._loop.time() - oldest > _OVERDUE * self._ack_timeout:
            self._on_stuck("one message stays without acknowledgement while others have theirs")
            return
        now = self._session.progress()
        nothing_left = before.unconfirmed == now.unconfirmed == 0  # a ping or a QoS 0 message is no progress
        if acks == self._acks and (nothing_left or before.confirmed == now.confirmed):
            self._on_stuck(f"no acknowledgement for {self._ack_timeout:.0f} s; the session is rebuilt")
        else:
            self._await_progress()
