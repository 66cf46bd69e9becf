"""Puts what waits in a lane into messages, as large as they may be, and gives up what no broker takes."""

from collections.abc import Callable
from dataclasses import replace

from edge_agent.contract.packing import ENCODING, pack
from edge_agent.row import EVENT_META, Run
from edge_agent.uplink.data_message import data
from edge_agent.uplink.dead_letters import DeadLetters
from edge_agent.uplink.events import event
from edge_agent.uplink.in_flight import InFlight
from edge_agent.uplink.interfaces import Delivery, Gateway
from edge_agent.uplink.lane import MOST_ROWS, Lane
from edge_agent.uplink.lanes import Lanes
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.payload import Description
from edge_agent.uplink.poison import PoisonSuspects
from edge_agent.uplink.topics import Topics

_MOST_SHRUNK = 20.0


class Publisher:
    """Makes the messages of one connection that carry readings or events.

    ``largest`` bytes of payload at most, ``packet`` in all. ``on_given_up`` is called when something is to be
    written to the ledger. With ``packs``, what is no live reading goes packed.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that it stands between
        self,
        gateway: Gateway,
        topics: Topics,
        delivery: Delivery,
        descriptions: dict[int, Description],
        in_flight: InFlight,
        lanes: Lanes,
        suspects: PoisonSuspects,
        dead_letters: DeadLetters,
        sizes: tuple[int, int],
        on_given_up: Callable[[], None],
        *,
        packs: bool,
    ) -> None:
        self._gateway, self._topics, self._delivery = gateway, topics, delivery
        self._descriptions, self._in_flight, self._lanes = descriptions, in_flight, lanes
        self._suspects, self._dead_letters = suspects, dead_letters
        self._largest, self._packet = sizes
        self._on_given_up = on_given_up
        self._packs, self._shrinks = packs, 1.0  # how many bytes become one
        self._failed_id: int | None = None

    def send(self, lane: Lane, room: int) -> None:
        """Send the next message of a lane, in which something must wait. An event goes alone."""
        first = lane.first()
        most = 1 if first.meta == EVENT_META else self._suspects.most_rows(first, MOST_ROWS)
        backlog = lane not in {self._lanes.live, self._lanes.events.lane}
        packed = backlog and self._packs
        run = lane.take(min(int(room * self._shrinks) if packed else room, self._largest), most)
        if self._suspects.hopeless(first):
            self._give_up(run, lane, "refused by the broker again and again")
            return
        self._failed_id = first.id  # until it is in flight, or back in a lane
        timed = self._gateway.clock_known()
        message = self._message(lane, run, packed=packed).within(self._packet)
        alone = len(run.rows) == 1
        if len(message.payload) <= self._largest or (alone and message.packet_size <= self._packet):
            self._in_flight.send(message, run=run, backlog=backlog, lane=lane, timed=timed)
        elif alone:
            self._give_up(run, lane, "larger than the broker takes")
        else:  # it came out larger than was reckoned: fewer rows next time
            self._suspects.refused(run.rows)
            lane.put_back(run)
        self._failed_id = None

    def _message(self, lane: Lane, run: Run, *, packed: bool) -> Outgoing:
        row = run.rows[0]
        if row.meta == EVENT_META:
            stream = self._delivery.streams[row.stream]
            return event(self._gateway, self._topics, stream, self._delivery.settled(row.stream), row)
        name = "live" if lane is self._lanes.live else "history"
        description = self._descriptions[row.meta]
        message = data(self._gateway, self._topics, self._delivery, description, run, name)
        if not packed:
            return message
        small = replace(message, payload=pack(message.payload), encoding=ENCODING)
        ratio = len(message.payload) / len(small.payload)
        self._shrinks = min(_MOST_SHRUNK, max(1.0, 0.7 * self._shrinks + 0.3 * ratio))
        return small

    def _give_up(self, run: Run, lane: Lane, why: str) -> None:
        """Hand one reading to the ledger; the other rows of its message go back."""
        lane.put_back(Run(run.rows[1:]))
        if not self._lanes.owes(lane):
            self._suspects.forget(run.rows[0])
            self._lanes.progressed(lane)
            return
        self._dead_letters.add(run.rows[0], why)
        self._on_given_up()

    def low_water(self) -> int | None:
        """The lowest log id that is neither in a lane nor on its way, or None."""
        return self._failed_id
