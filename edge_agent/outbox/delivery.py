"""What one uplink has been given, and what it is still owed."""

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Collection, Sequence

from edge_agent.outbox import events, lookup, transactions
from edge_agent.outbox.exclusions import Exclusions
from edge_agent.outbox.repairs import OwedRepairs
from edge_agent.outbox.rows import Batch, Checkpoint, LossAck, Opened
from edge_agent.outbox.store import DamagedError, Store
from edge_agent.outbox.stream_delivery import LostPart, StreamDelivery
from edge_agent.row import EVENT_META, Declared, RangeStatus, Row, Run

CHECKPOINT_EVERY = 20_000  # readings, about: so many a crash may send again


class Delivery:
    """One uplink's share of the log.

    ``backlog`` is the number of kept readings that were not acknowledged, ``last_id`` the log id of the
    newest row on disk. The uplink sets ``on_kept``, which hears of every commit, ``low_water``, which gives
    the lowest log id that may still be owed: there a restart begins to read; ``low_water_of_readings``, that
    without events; and ``losses_taken``, the ledger entry up to which none may grow any more. ``outlived`` is
    the outbox's: whether a row is older than acknowledged ones are kept for.
    """

    def __init__(self, name: str, opened: Opened, db: Store) -> None:
        self.name = name
        self.uplink, self._scan_from, self._session, self.acknowledged, self.everything = opened.uplinks[name]
        self.retired: events.Retired = opened.retired.get(self.uplink, {})
        self.streams = opened.streams
        self.backlog = 0
        self.exclusions = Exclusions(opened.exclusions.get(self.uplink, ()))
        self.last_id = opened.next_id - 1
        self.on_kept: Callable[[Sequence[Run], Sequence[Declared]], None] | None = None
        self.low_water: Callable[[], int] | None = None
        self.low_water_of_readings: Callable[[], int] | None = None
        self.outlived: Callable[[Row], bool] = lambda _row: False
        self.losses_taken: Callable[[], int] = lambda: sys.maxsize
        self._db = db
        self._by_stream = {
            stream: StreamDelivery.read(written)
            for (uplink, stream), written in opened.delivery.items()
            if uplink == self.uplink
        }
        self.unsaved = 0  # readings settled since the last marks
        self.on_much_unsaved: Callable[[], None] = lambda: None  # they are many
        self._unsaved_streams: set[int] = set()
        self._loss_acks: list[LossAck] = []
        self._open_declarations: dict[int, int | None] = {}  # by declaration that is open: up to which number
        self._scanned: dict[int, int] = {}  # by stream: the last number of the forward scan
        self._read_to = self._readings_from = 0
        self._boot = opened.boot
        self._repairs = OwedRepairs(opened.repairs.get(self.uplink, ()))
        self._repairs_saved = list(self._repairs.runs)

    async def count(self) -> None:
        """Work out the backlog from the numbers alone, without reading the log."""
        for stream in self.streams.values():
            for run in self.exclusions.runs(stream):
                self._of(stream.id).skip(*run)
        for loss in await self.open_losses():
            self._give_up(loss)
        self._count_backlog()
        self._readings_from = 0 if self.backlog else self.last_id + 1

    @property
    def scan_from(self) -> int:
        """The lowest log id that may still be owed."""
        if self.low_water is not None:
            self._scan_from = max(self._scan_from, self.low_water())
        return self._scan_from

    @property
    def readings_from(self) -> int:
        """The lowest log id of which a reading may still be owed; only events are owed below it."""
        if self.low_water_of_readings is not None:
            self._readings_from = max(self._readings_from, self.low_water_of_readings())
        return max(self.scan_from, self._readings_from)

    @property
    def owed(self) -> int:
        """How many readings and events are owed."""
        return sum(self._of(id_).owed(1, stream.next_seq - 1) for id_, stream in self.streams.items())

    def _count_backlog(self) -> None:
        self.backlog = sum(
            self._of(id_).owed(1, stream.next_seq - 1)
            for id_, stream in self.streams.items()
            if stream.kind == "reading"
        )

    def _of(self, stream: int) -> StreamDelivery:
        share = self._by_stream.get(stream)
        if share is None:
            share = self._by_stream[stream] = StreamDelivery()
        return share

    def settled(self, stream: int) -> int:
        """All readings of a stream up to this number are acknowledged or declared lost."""
        return self._of(stream).settled

    def owes(self, stream: int, seq: int) -> bool:
        """Say whether a reading was neither acknowledged nor given up yet."""
        return self._of(stream).owes(seq)

    def owes_any(self, stream: int, first: int, last: int) -> bool:
        """Say whether one of the readings from first to last is owed."""
        return self._of(stream).owed(first, last) > 0

    def kept(self, batch: Batch, runs: Sequence[Run], declared: Sequence[Declared]) -> None:
        """A commit is on disk: its readings, dealt to runs, and declarations of what could not be kept.

        Those of a device that is not on this uplink are settled with that, and it does not hear of them.
        """
        since = self.exclusions.since
        for stream in since.keys() & batch.next_seq.keys():
            self._of(stream).skip(since[stream], batch.next_seq[stream] - 1)
        mine = [run for run in runs if run.stream not in since] if since else runs
        self.backlog += sum(len(run.rows) for run in mine if run.rows[0].meta != EVENT_META)
        declared = [loss for loss in declared if loss.stream not in since]
        self.declare(declared)
        if batch.rows:
            self.last_id = batch.rows[-1].id
            if not mine and self._scan_from == batch.rows[0].id:
                self._scan_from = self.last_id + 1
        if self.on_kept is not None and (mine or declared):
            self.on_kept(mine, declared)

    def reselect(self, now: Opened) -> None:
        """Other devices are on this uplink from their next readings on. What is owed stays owed."""
        self.everything = now.uplinks[self.name].everything
        self.exclusions = Exclusions(now.exclusions.get(self.uplink, ()))
        self.retired = now.retired.get(self.uplink, {})

    def retiring(self, device: str, stream: int) -> None:
        """It is about to be told that a device is gone. An event without a number yet is owed."""
        self.retired[device] = stream, sys.maxsize

    def note_retired(self, rows: Sequence[Row]) -> None:
        """Events are on disk: note which of them retire a device here."""
        self.retired.update(events.retired(rows, self.name))

    def _is_mine(self, row: Row) -> bool:
        return row.meta != EVENT_META or events.is_for(row, self.name, self.streams, self.exclusions.since)

    async def read_events(self, from_id: int, to_id: int, limit: int) -> tuple[list[Row], int]:
        """Read on in the events that are owed; return at most ``limit`` rows, and where to read on.

        Where numbers before one are of events that this uplink does not get, its body says ``above``. These
        are settled with that.
        """
        rows, before = await self._db.run(events.read, from_id, to_id, limit)
        mine = list(events.for_one(rows, before, self._is_mine))
        for row in rows:
            if not self._is_mine(row):
                self._of(row.stream).skip(row.seq, row.seq)
                self._unsaved_streams.add(row.stream)
        after = rows[-1].id if len(rows) == limit else to_id
        return [row for row in mine if self.owes(row.stream, row.seq)], after + 1

    def former(self, devices: Collection[str]) -> list[str]:
        """Return devices that were on this uplink, are none of these, and of which nothing is owed to it."""
        owed, been = set(devices), set()
        for stream in self.streams.values():
            if stream.kind == "reading" and stream.device not in owed:
                if self.settled(stream.id) < stream.next_seq - 1:
                    owed.add(stream.device)
                elif not self.exclusions.whole(stream):
                    been.add(stream.device)
        return sorted(been - owed)

    def settle(self, stream: int, first: int, last: int) -> None:
        """Accept: the broker has taken all of these readings that were owed."""
        new = self._of(stream).settle(first, last)
        if self.streams[stream].kind == "reading":
            self.backlog -= new
            self.acknowledged += new
        self._unsaved_streams.add(stream)
        self.unsaved += new
        if self.unsaved >= CHECKPOINT_EVERY:
            self.on_much_unsaved()

    def owe_repairs(self, rows: Sequence[Row]) -> None:
        """The broker has taken these without a true time: they go out once more when it is learnt.

        That of an earlier boot is never learnt any more.
        """
        if ids := [row.id for row in rows if row.boot == self._boot]:
            self._repairs.add(ids[0], ids[-1])

    def owes_repairs(self, from_id: int) -> bool:
        """Say whether any log ids from this one on go out once more."""
        return self._repairs.following(from_id) is not None

    async def read_repairs(self, from_id: int, limit: int) -> tuple[list[Row], int]:
        """Read on in what goes out once more; return at most ``limit`` rows, and where to read on.

        There must be more. What has left the log meanwhile is left out, and so is what lies between and was
        not acknowledged.
        """
        run = self._repairs.following(from_id)
        assert run is not None
        rows = await self._db.run(transactions.read, *run, limit)
        taken = [
            row
            for row in rows
            if not self.owes(row.stream, row.seq)
            and not self.exclusions.covers(row.stream, row.seq)
            and self._is_mine(row)
        ]
        return taken, (rows[-1].id if len(rows) == limit else run[1]) + 1

    def repaired(self, below: int) -> None:
        """All that goes out once more and has a log id below this one has done so."""
        self._repairs.drop_below(below)

    async def range_status(self, stream: int, first: int, last: int) -> RangeStatus:
        """Say what became of the numbers from first to last, or of as many as fit into an answer."""
        begin = await self._db.run(transactions.first_id) or self.last_id + 1

        def kind(seq: int) -> str:
            if self.exclusions.covers(stream, seq):
                return "not_on_this_uplink"
            return "pending" if self.owes(stream, seq) else ""

        return await lookup.look_up(self._db, self.uplink, stream, first, last, (begin, self.last_id), kind)

    async def read_range(  # noqa: PLR0913, PLR0917 - all that rows are found by
        self, stream: int, first: int, last: int, from_id: int, to_id: int, limit: int
    ) -> tuple[list[Row], int]:
        """Read rows of a stream between two log ids; return at most ``limit``, and where to read on."""
        rows, after = await lookup.read(self._db, stream, first, last, from_id, to_id, limit)
        return [row for row in rows if self._is_mine(row)], after

    def lose(self, loss: Declared) -> None:
        """Readings that this uplink was owed are given up: they are declared, and not sent any more."""
        lost = self._give_up(loss)
        self.backlog -= lost if self.streams[loss.stream].kind == "reading" else 0

    def declare(self, losses: Sequence[Declared]) -> None:
        """Readings were lost before they were kept: they are no backlog, only to be declared."""
        for loss in losses:
            self._give_up(loss)

    def would_lose(self, stream: int, first: int, last: int, every: int | None) -> LostPart | None:
        """Return what this uplink would lose of a range, wholly or but for each ``every``-th number."""
        return self._of(stream).would_lose(first, last, every)

    def undecided(self) -> set[int]:
        """Declarations that were acknowledged, which the file does not know yet."""
        return {heard.loss for heard in self._loss_acks}

    def _give_up(self, loss: Declared) -> int:
        self._open_declarations[loss.id] = loss.to_seq
        if loss.to_seq is None:  # the end of an epoch: nothing of it is left to be sent
            return 0
        self._unsaved_streams.add(loss.stream)
        return self._of(loss.stream).lose(loss.id, loss.from_seq, loss.to_seq, loss.every)

    async def reject(self, row: Row, why: str) -> Declared:
        """Give up a reading that the broker can never take: a copy is set aside, the ledger says why.

        It comes to its end though nobody waits for it: what the ledger has is not owed any more.
        """
        return await asyncio.shield(self._reject(row, why))

    async def _reject(self, row: Row, why: str) -> Declared:
        self.lose(loss := await self._db.run(transactions.reject, self.uplink, row, why))
        return loss

    def settle_loss(self, loss: Declared) -> None:
        """Accept: the broker has taken the declaration of a loss; one that has grown since is still open."""
        if self._open_declarations.get(loss.id, loss.to_seq) != loss.to_seq:
            return
        self._open_declarations.pop(loss.id, None)
        self._of(loss.stream).declared(loss.id)
        self._unsaved_streams.add(loss.stream)
        self._loss_acks.append(LossAck(self.uplink, loss.id, loss.to_seq))

    def rewind(self) -> None:
        """A session ended: what it did not acknowledge will be read from the log again."""
        self._scan_from, self._readings_from = self.scan_from, self.readings_from
        for share in self._by_stream.values():
            share.forget()
        self._count_backlog()

    async def read(self, from_id: int, to_id: int, limit: int) -> list[Row]:
        """Read a piece of the log, both ends included, at most ``limit`` rows.

        Raises:
            DamagedError: rows are not as they were written, or some that are owed are not there.
        """
        rows = await self._db.run(transactions.read, from_id, to_id, limit)
        if from_id <= self.scan_from:
            self._scanned.clear()  # a forward scan begins; below it nothing is owed
        elif from_id != self._read_to:
            return rows  # no part of the scan
        for row in rows:
            self._look_for_gap(row)
        self._read_to = rows[-1].id + 1 if rows else to_id + 1
        return rows

    def _look_for_gap(self, row: Row) -> None:
        """A page that lost its rows looks sound: only their numbers tell."""
        last = self._scanned.get(row.stream)
        if last is None:
            last = self.settled(row.stream)
        if row.seq > last + 1 and self.owes_any(row.stream, last + 1, row.seq - 1):
            self._db.on_damage()
            raise DamagedError(f"readings {last + 1} to {row.seq - 1} of a stream are not there")
        self._scanned[row.stream] = max(last, row.seq)

    async def open_losses(self, above: int = 0, limit: int = -1) -> list[Declared]:
        """Return the ledger entries above one that were not acknowledged, oldest first; limit -1: all."""
        return await self._db.run(transactions.open_losses, self.uplink, above, limit)

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

    def mark(self, marks: Checkpoint) -> list[LossAck]:
        """Add what changed to the marks; return the acknowledged declarations. Kept until ``marked``."""
        self.unsaved = 0
        marks.scan_from[self.uplink] = self.scan_from
        marks.acknowledged[self.uplink] = self.acknowledged
        for stream in self._unsaved_streams:
            marks.delivery[self.uplink, stream] = self._of(stream).write()
        if self._repairs.runs != self._repairs_saved:
            marks.repairs[self.uplink] = list(self._repairs.runs)
        return list(self._loss_acks)

    def marked(self, marks: Checkpoint, declared: Sequence[LossAck]) -> None:
        """The marks are on disk. What changed since they were taken stays to be written."""
        for (uplink, stream), written in marks.delivery.items():
            if uplink == self.uplink and self._of(stream).write() == written:
                self._unsaved_streams.discard(stream)
        self._repairs_saved = marks.repairs.get(self.uplink, self._repairs_saved)
        done = {heard for heard in declared if heard.uplink == self.uplink}
        self._loss_acks = [heard for heard in self._loss_acks if heard not in done]
