"""What is given up when the outbox is full of readings that are owed: by class, into the ledger."""

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from edge_agent.outbox import eviction
from edge_agent.outbox.batch import Checkpoint
from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.eviction import Candidates, Eviction
from edge_agent.outbox.eviction_order import Stage, stages
from edge_agent.outbox.ledger import Entry, Fixed
from edge_agent.outbox.policy import Care
from edge_agent.outbox.queries import bytes_held, first_id
from edge_agent.outbox.store import Store
from edge_agent.row import Stream

log = logging.getLogger(__name__)

_LOW_MARK, _NO_LONGER_FULL = 0.95, 0.8  # of the limit
_ROW_BYTES = 100  # about
_LOOK_EVERY = 256  # rows
_NO_END = 2**62  # a log id that is never reached
_LEAST, _MOST = 256, 50_000  # rows that are looked through in one transaction


class Capacity:
    """Keeps the file below its limit, in bytes. Each stage goes on where it stood, never looking twice.

    ``full`` begins when the limit is reached and ends well below it, so that it is logged once.
    """

    def __init__(self, db: Store, max_size: int) -> None:
        self._db, self.max_size = db, max_size
        self._appended = 0  # rows since the last look
        self._next_id: dict[str, int] = {}  # by stage: the log id it goes on from
        self._unconfirmed: Eviction | None = None  # was not heard to be written
        self.full = False
        self.pressing = False  # there was more to do than one call may

    async def make_room(
        self,
        deliveries: Sequence[Delivery],
        streams: Mapping[int, Stream],
        cares: Mapping[str, Care],
    ) -> tuple[int, int | None]:
        """Give up what must go; return how many readings that somebody was owed, and the first id left.

        Of many times as many rows as came since the last look, at most.
        """
        gone = await self._make_room(deliveries, streams, cares)
        return gone, await self._db.run(first_id)

    def appended(self, rows: int) -> bool:
        """Count rows of a commit; say whether it is time to look at the size.

        The file is larger than it may be by no more than what comes between two looks: so many rows, and a
        commit.
        """
        self._appended += rows
        return self.pressing or self._appended >= _LOOK_EVERY

    async def is_over(self) -> bool:
        """Say whether the file is larger than it may be, or more is gone from it than is known here."""
        held = await self._db.run(bytes_held)
        if held < _NO_LONGER_FULL * self.max_size:
            self.full = False
        if held <= self.max_size and self._unconfirmed is None:
            self._appended, self.pressing = 0, False
            return False
        return True

    async def _make_room(
        self,
        deliveries: Sequence[Delivery],
        streams: Mapping[int, Stream],
        cares: Mapping[str, Care],
    ) -> int:
        gone = await self._evict(deliveries)
        held = await self._db.run(bytes_held)
        self.pressing = False
        if held <= self.max_size:
            return gone
        left, self._appended = max(_MOST, 16 * self._appended), 0
        floor = min((delivery.readings_from for delivery in deliveries), default=_NO_END)
        owed = floor, min((delivery.scan_from for delivery in deliveries), default=_NO_END)
        for stage in (Stage("history", ()), *stages(streams.values(), cares)):
            history = stage.name == "history"  # nobody is owed it: it goes first
            while (excess := held - _LOW_MARK * self.max_size) > 0:
                if left <= 0:
                    self.pressing = held > self.max_size
                    return gone
                rows = min(_MOST, left, max(_LEAST, int(excess / _ROW_BYTES)))
                from_id = self._next_id.get(stage.name, 0)
                within = owed if history else (_NO_END, 0)
                found = await self._db.run(eviction.candidates, stage, from_id, within, rows)
                if found is None:
                    break
                gone += await self._give_up(stage, found, deliveries)
                self._next_id[stage.name] = found.last_id + 1
                left -= found.rows
                held = await self._db.run(bytes_held)
            if held <= _LOW_MARK * self.max_size:
                return gone
            self._note_full()  # if only of what devices that refuse have kept
        return gone

    def _note_full(self) -> None:
        if not self.full:
            log.error(
                "outbox: full; readings are given up (reason: capacity), those of bulk devices first; "
                "mend the uplink, or raise outbox.max_size"
            )
        self.full = True

    async def _give_up(self, stage: Stage, found: Candidates, deliveries: Sequence[Delivery]) -> int:
        every = stage.every
        entries: dict[Entry, list[int]] = {}
        gone = 0
        for piece in found.pieces:
            most = 0
            for delivery in deliveries:
                thinned = every if piece.stream in stage.thin else None
                lost = delivery.would_lose(piece.stream, piece.first, piece.last, thinned)
                if lost is not None:
                    entries.setdefault(piece.entry(lost, thinned), []).append(delivery.uplink)
                    most = max(most, lost.readings)
            gone += most
        self._unconfirmed = Eviction(stage, found, entries, gone)
        try:
            return await self._evict(deliveries)
        except sqlite3.Error:  # soon again: what is gone must not count as owed
            self.pressing = True
            return await self._evict(deliveries)

    async def _evict(self, deliveries: Sequence[Delivery]) -> int:
        """Write what is to be given up; once more, as it is, where the outcome was not heard."""
        if (unconfirmed := self._unconfirmed) is None:
            return 0
        given = Checkpoint(0, {}, {}, {}, 0, 0)
        for delivery in deliveries:  # acknowledgements come all the time: the file must know of these rows'
            delivery.add_to(given)
        recorded = await self._db.run(eviction.evict, unconfirmed, given, fixed(deliveries))
        self._unconfirmed = None
        for declared, uplinks in recorded:
            for delivery in deliveries:
                if delivery.uplink in uplinks:
                    delivery.lose(declared)
                    if delivery.on_kept is not None:
                        delivery.on_kept((), (declared,))
        return unconfirmed.gone


def fixed(deliveries: Iterable[Delivery]) -> Fixed:
    """Return which entries the uplinks have taken up, and which they have acknowledged lately."""
    deliveries = tuple(deliveries)
    taken_up = {of.uplink: of.losses_taken() for of in deliveries if of.on_kept is not None}
    return Fixed(taken_up, {id_ for delivery in deliveries for id_ in delivery.acknowledged_losses()})
