"""What one uplink reads of the log: the backlog, events, repairs, and what it is asked to send once more.

Rows come as they lie there; which of them are owed the delivery says. Whatever reads a row checks it: a
flipped bit or a lost page is damage, and never becomes a message.
"""

from typing import Protocol

from edge_agent.outbox import events, lookup, queries
from edge_agent.outbox.exclusions import Exclusions
from edge_agent.outbox.repairs import OwedRepairs
from edge_agent.outbox.store import DamagedError, Store
from edge_agent.row import EVENT_META, RangeStatus, Row, Stream


class Owed(Protocol):
    """What a reader asks of the delivery that it reads for."""

    name: str
    uplink: int
    streams: dict[int, Stream]
    exclusions: Exclusions
    repairs: OwedRepairs
    last_id: int

    @property
    def scan_from(self) -> int:
        """The lowest log id that may still be owed."""

    def settled(self, stream: int) -> int:
        """All numbers of a stream up to this one are settled."""

    def owes(self, stream: int, seq: int) -> bool:
        """Say whether a row was neither acknowledged nor given up yet."""

    def owes_any(self, stream: int, first: int, last: int) -> bool:
        """Say whether one of the rows from first to last is owed."""

    def skip(self, stream: int, seq: int) -> None:
        """This one is never owed."""


class LogReader:
    """Reads for one delivery. Each call is one hop to the writer's thread, or a few, and bounded in rows."""

    def __init__(self, db: Store, owed: Owed) -> None:
        self._db, self._owed = db, owed
        self._scanned: dict[int, int] = {}  # by stream: the last number of the forward scan
        self._scanned_to = 0

    async def read(self, from_id: int, to_id: int, limit: int) -> list[Row]:
        """Read a piece of the log, both ends included, at most ``limit`` rows.

        Raises:
            DamagedError: rows are not as they were written, or some that are owed are not there.
        """
        rows = await self._db.run(queries.read, from_id, to_id, limit)
        if from_id <= self._owed.scan_from:
            self._scanned.clear()  # a forward scan begins; below it nothing is owed
        elif from_id != self._scanned_to:
            return rows  # no part of the scan
        for row in rows:
            self._check_gap(row)
        self._scanned_to = rows[-1].id + 1 if rows else to_id + 1
        return rows

    def _check_gap(self, row: Row) -> None:
        """A page that lost its rows looks sound: only their numbers tell."""
        last = self._scanned.get(row.stream)
        if last is None:
            last = self._owed.settled(row.stream)
        if row.seq > last + 1 and self._owed.owes_any(row.stream, last + 1, row.seq - 1):
            self._db.on_damage()
            raise DamagedError(f"readings {last + 1} to {row.seq - 1} of a stream are not there")
        self._scanned[row.stream] = max(last, row.seq)

    async def read_events(self, from_id: int, to_id: int, limit: int) -> tuple[list[Row], int]:
        """Read on in the events that are owed; return at most ``limit`` rows, and where to read on.

        Where numbers before one are of events that this uplink does not get, its body says ``above``. These
        are settled with that.
        """
        rows, before = await self._db.run(events.read, from_id, to_id, limit)
        mine = list(events.for_one(rows, before, self._is_mine))
        for row in rows:
            if not self._is_mine(row):
                self._owed.skip(row.stream, row.seq)
        after = rows[-1].id if len(rows) == limit else to_id
        return [row for row in mine if self._owed.owes(row.stream, row.seq)], after + 1

    async def read_repairs(self, from_id: int, limit: int) -> tuple[list[Row], int]:
        """Read on in what goes out once more with its true time; return rows, and where to read on.

        There must be more. What has left the log meanwhile is left out, and so is what lies between and was
        not acknowledged.
        """
        run = self._owed.repairs.following(from_id)
        assert run is not None
        rows = await self._db.run(queries.read, *run, limit)
        taken = [
            row
            for row in rows
            if not self._owed.owes(row.stream, row.seq)
            and not self._owed.exclusions.covers(row.stream, row.seq)
            and self._is_mine(row)
        ]
        return taken, (rows[-1].id if len(rows) == limit else run[1]) + 1

    async def range_status(self, stream: int, first: int, last: int) -> RangeStatus:
        """Say what became of the numbers from first to last, or of as many as fit into an answer."""
        begin = await self._db.run(queries.first_id) or self._owed.last_id + 1

        def kind(seq: int) -> str:
            if self._owed.exclusions.covers(stream, seq):
                return "not_on_this_uplink"
            return "pending" if self._owed.owes(stream, seq) else ""

        ids = begin, self._owed.last_id
        return await lookup.look_up(self._db, self._owed.uplink, stream, first, last, ids, kind)

    async def read_range(  # noqa: PLR0913, PLR0917 - all that rows are found by
        self, stream: int, first: int, last: int, from_id: int, to_id: int, limit: int
    ) -> tuple[list[Row], int]:
        """Read rows of a stream between two log ids; return at most ``limit``, and where to read on."""
        rows, after = await lookup.read(self._db, stream, first, last, from_id, to_id, limit)
        return [row for row in rows if self._is_mine(row)], after

    def _is_mine(self, row: Row) -> bool:
        owed = self._owed
        return row.meta != EVENT_META or events.is_for(
            row, owed.name, owed.streams, owed.exclusions.open_from
        )
