"""What one uplink has been given, and what it is still owed."""

import sqlite3
from collections.abc import Callable, Sequence

from edge_agent.kept import Declared, Row
from edge_agent.outbox import transactions
from edge_agent.outbox.again import Again
from edge_agent.outbox.rows import Marks, Opened
from edge_agent.outbox.store import DamagedError, Store

MARK_EVERY = 20_000  # readings, about: so many a crash may send again


class Delivery:
    """One uplink's share of the log.

    ``backlog`` is the number of kept readings that were not acknowledged, ``last_id`` the log id of the
    newest row on disk. The uplink sets ``on_kept``, which hears of every commit, and ``low_water``, which
    gives the lowest log id that may still be owed: there a restart begins to read.
    """

    def __init__(self, name: str, opened: Opened, db: Store) -> None:
        self.uplink, self._scan_from, self._session = opened.uplinks[name]
        self.streams = opened.streams
        self.backlog = 0
        self.acknowledged = 0
        self._kept, self._given_up = opened.kept, opened.given_up
        self.last_id = opened.next_id - 1
        self.on_kept: Callable[[Sequence[Row], Sequence[Declared]], None] | None = None
        self.low_water: Callable[[], int] | None = None
        self._db = db
        self._ranges = {
            stream: ranges for (uplink, stream), ranges in opened.delivery.items() if uplink == self.uplink
        }
        self._lost: dict[int, Ranges] = {}  # given up, and the declaration not acknowledged yet
        self.unmarked = 0  # readings settled since the last marks
        self.on_unmarked: Callable[[], None] = lambda: None  # they are many
        self._dirty: set[int] = set()
        self._declared: list[int] = []
        self._seen: dict[int, int] = {}  # by stream: the last number of the forward scan
        self._read_to = 0
        self._boot = opened.boot
        self._again = Again(opened.again.get(self.uplink, ()))
        self._again_written = list(self._again.runs)

    async def count(self) -> None:
        """Work out the backlog from the numbers alone, without reading the log."""
        for loss in await self.open_losses():
            self._give_up(loss)
        self.backlog = sum(
            stream.next_seq - 1 - self._of(stream.id).count() - self._lost_of(stream.id).count()
            for stream in self.streams.values()
        )
        self.acknowledged = self._kept - self._given_up - self.backlog

    @property
    def scan_from(self) -> int:
        """The lowest log id that may still be owed."""
        if self.low_water is not None:
            self._scan_from = max(self._scan_from, self.low_water())
        return self._scan_from

    def _of(self, stream: int) -> Ranges:
        return self._ranges.setdefault(stream, Ranges())

    def settled(self, stream: int) -> int:
        """All readings of a stream up to this number are acknowledged or declared lost."""
        return self._of(stream).settled

    def _lost_of(self, stream: int) -> Ranges:
        return self._lost.get(stream) or Ranges()

    def owes(self, stream: int, seq: int) -> bool:
        """Say whether a reading was neither acknowledged nor given up yet."""
        return seq not in self._of(stream) and (stream not in self._lost or seq not in self._lost[stream])

    def settle(self, stream: int, first: int, last: int) -> None:
        """Accept: the broker has taken these readings."""
        ranges = self._of(stream)
        if stream in self._lost:  # some of them may have been given up while they were on their way
            self.backlog -= sum(self.owes(stream, seq) for seq in range(first, last + 1))
            self.acknowledged += ranges.add(first, last)
        else:
            new = ranges.add(first, last)
            self.backlog -= new
            self.acknowledged += new
        self._dirty.add(stream)
        self.unmarked += last - first + 1
        if self.unmarked >= MARK_EVERY:
            self.on_unmarked()

    def send_again(self, rows: Sequence[Row]) -> None:
        """The broker has taken these without a true time: they go out once more when it is learnt.

        That of an earlier boot is never learnt any more.
        """
        if ids := [row.id for row in rows if row.boot == self._boot]:
            self._again.add(ids[0], ids[-1])

    def to_send_again(self, from_id: int) -> bool:
        """Say whether any log ids from this one on go out once more."""
        return self._again.following(from_id) is not None

    async def read_again(self, from_id: int, limit: int) -> tuple[list[Row], int]:
        """Read on in what goes out once more; return at most ``limit`` rows, and where to read on.

        There must be more. What has left the log meanwhile is left out.
        """
        run = self._again.following(from_id)
        assert run is not None
        rows = await self._db.run(transactions.read, *run, limit)
        return rows, (rows[-1].id if len(rows) == limit else run[1]) + 1

    def sent_again(self, below: int) -> None:
        """All that goes out once more and has a log id below this one has done so."""
        self._again.drop_below(below)

    def lose(self, loss: Declared) -> None:
        """Readings that this uplink was owed are given up: they are declared, and not sent any more."""
        self.backlog -= self._give_up(loss)

    def declare(self, losses: Sequence[Declared]) -> None:
        """Readings were lost before they were kept: they are no backlog, only to be declared."""
        for loss in losses:
            self._give_up(loss)

    def _give_up(self, loss: Declared) -> int:
        if loss.to_seq is None:  # the end of an epoch: nothing of it is left to be sent
            return 0
        return self._lost.setdefault(loss.stream, Ranges()).add(loss.from_seq, loss.to_seq)

    async def reject(self, row: Row, why: str) -> Declared:
        """Give up a reading that the broker can never take: a copy is set aside, the ledger says why."""
        loss = await self._db.run(transactions.reject, self.uplink, row, why)
        self.lose(loss)
        return loss

    def settle_loss(self, loss: Declared) -> None:
        """Accept: the broker has taken the declaration of a loss."""
        if loss.to_seq is not None:
            ranges = self._of(loss.stream)
            ranges.add(loss.from_seq, loss.to_seq)
            if self._lost_of(loss.stream).top <= ranges.settled:
                self._lost.pop(loss.stream, None)
        self._dirty.add(loss.stream)
        self._declared.append(loss.id)

    def rewind(self) -> None:
        """A session ended: what it did not acknowledge will be read from the log again."""
        self._scan_from = self.scan_from
        for share in self._shares.values():
            share.forget()
        self._count_backlog()

    async def read(self, from_id: int, to_id: int, limit: int) -> list[Row]:
        """Read a piece of the log, both ends included, at most ``limit`` rows.

        Raises:
            DamagedError: rows are not as they were written, or some that are owed are not there.
        """
        rows = await self._db.run(transactions.read, from_id, to_id, limit)
        if from_id <= self.scan_from:
            self._seen.clear()  # a forward scan begins; below it nothing is owed
        elif from_id != self._read_to:
            return rows  # no part of the scan
        for row in rows:
            self._look_for_gap(row)
        self._read_to = rows[-1].id + 1 if rows else to_id + 1
        return rows

    def _look_for_gap(self, row: Row) -> None:
        """A page that lost its rows looks sound: only their numbers tell."""
        last = self._seen.get(row.stream)
        if last is None:
            last = self.settled(row.stream)
        if row.seq > last + 1 and any(self.owes(row.stream, seq) for seq in range(last + 1, row.seq)):
            self._db.on_damage()
            raise DamagedError(f"readings {last + 1} to {row.seq - 1} of a stream are not there")
        self._seen[row.stream] = max(last, row.seq)

    async def open_losses(self) -> list[Declared]:
        """Return the ledger entries that were not acknowledged, oldest first."""
        return await self._db.run(transactions.open_losses, self.uplink)

    async def count_session(self) -> int:
        """Count one more CONNECT."""
        try:
            self._session = await self._db.run(transactions.count_session, self.uplink, self._session)
        except sqlite3.Error:  # a full disk is no reason not to connect
            self._session += 1
        return self._session

    async def descriptions(self) -> dict[int, tuple[str, str]]:
        """Return every description by id: hash and JSON body."""
        return await self._db.run(transactions.descriptions)

    def mark(self, marks: Marks) -> list[tuple[int, int]]:
        """Add what changed to the marks; return the acknowledged declarations. Kept until ``marked``."""
        self.unmarked = 0
        marks.scan_from[self.uplink] = self.scan_from
        for stream in self._dirty:
            beyond = self._ranges[stream].beyond[: self._most_beyond(stream)]
            marks.delivery[self.uplink, stream] = Ranges(self.settled(stream), beyond)
        if self._again.runs != self._again_written:
            marks.again[self.uplink] = list(self._again.runs)
        return [(self.uplink, loss) for loss in self._declared]

    def marked(self, marks: Marks, declared: Sequence[tuple[int, int]]) -> None:
        """The marks are on disk. What changed since they were taken stays to be written."""
        for (uplink, stream), ranges in marks.delivery.items():
            now = self._ranges.get(stream)
            if uplink == self.uplink and now and (now.settled, now.beyond) == (ranges.settled, ranges.beyond):
                self._dirty.discard(stream)
        self._again_written = marks.again.get(self.uplink, self._again_written)
        done = {loss for uplink, loss in declared if uplink == self.uplink}
        self._declared = [loss for loss in self._declared if loss not in done]
