"""What one uplink has been given, and what it is still owed."""

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Collection, Sequence

from edge_agent.outbox import events, queries, transactions
from edge_agent.outbox.batch import Batch, Checkpoint, LossAck
from edge_agent.outbox.exclusions import Exclusions
from edge_agent.outbox.log_reader import LogReader
from edge_agent.outbox.opened import Opened
from edge_agent.outbox.repairs import OwedRepairs
from edge_agent.outbox.store import Store
from edge_agent.outbox.stream_delivery import LostPart, StreamDelivery
from edge_agent.row import EVENT_META, Declared, Row, Run

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
        self.log = LogReader(db, self)
        self.repairs = OwedRepairs(opened.repairs.get(self.uplink, ()), opened.boot)
        self.unsaved = 0  # readings settled since the last checkpoint
        self.on_much_unsaved: Callable[[], None] = lambda: None  # they are many
        self._unsaved_streams: set[int] = set()
        self._loss_acks: list[LossAck] = []
        self._open_declarations: dict[int, int | None] = {}  # by declaration that is open: up to which number
        self._readings_from = 0

    async def count(self) -> None:
        """Work out the backlog from the numbers alone, without reading the log."""
        for stream in self.streams.values():
            for run in self.exclusions.runs(stream):
                self._for(stream.id).skip(*run)
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
        return sum(self._for(id_).owed(1, stream.next_seq - 1) for id_, stream in self.streams.items())

    def _count_backlog(self) -> None:
        self.backlog = sum(
            self._for(id_).owed(1, stream.next_seq - 1)
            for id_, stream in self.streams.items()
            if stream.kind == "reading"
        )

    def _for(self, stream: int) -> StreamDelivery:
        found = self._by_stream.get(stream)
        if found is None:
            found = self._by_stream[stream] = StreamDelivery()
        return found

    def settled(self, stream: int) -> int:
        """All readings of a stream up to this number are acknowledged or declared lost."""
        return self._for(stream).settled

    def owes(self, stream: int, seq: int) -> bool:
        """Say whether a reading was neither acknowledged nor given up yet."""
        return self._for(stream).owes(seq)

    def owes_any(self, stream: int, first: int, last: int) -> bool:
        """Say whether one of the readings from first to last is owed."""
        return self._for(stream).owed(first, last) > 0

    def kept(self, batch: Batch, runs: Sequence[Run], declared: Sequence[Declared]) -> None:
        """A commit is on disk: its readings, dealt to runs, and declarations of what could not be kept.

        Those of a device that is not on this uplink are settled with that, and it does not hear of them.
        """
        off = self.exclusions.open_from  # streams that are not on this uplink now
        for stream in off.keys() & batch.next_seq.keys():
            self._for(stream).skip(off[stream], batch.next_seq[stream] - 1)
        mine = [run for run in runs if run.stream not in off] if off else runs
        self.backlog += sum(len(run.rows) for run in mine if run.rows[0].meta != EVENT_META)
        declared = [loss for loss in declared if loss.stream not in off]
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

    def skip(self, stream: int, seq: int) -> None:
        """This one is never owed, and there is nothing to declare."""
        self._for(stream).skip(seq, seq)
        self._unsaved_streams.add(stream)

    def settle(self, stream: int, first: int, last: int) -> None:
        """Accept: the broker has taken all of these readings that were owed."""
        new = self._for(stream).settle(first, last)
        if self.streams[stream].kind == "reading":
            self.backlog -= new
            self.acknowledged += new
        self._unsaved_streams.add(stream)
        self.unsaved += new
        if self.unsaved >= CHECKPOINT_EVERY:
            self.on_much_unsaved()

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
        return self._for(stream).would_lose(first, last, every)

    def acknowledged_losses(self) -> set[int]:
        """Declarations that were acknowledged, which the file does not know yet."""
        return {ack.loss for ack in self._loss_acks}

    def _give_up(self, loss: Declared) -> int:
        self._open_declarations[loss.id] = loss.to_seq
        if loss.to_seq is None:  # the end of an epoch: nothing of it is left to be sent
            return 0
        self._unsaved_streams.add(loss.stream)
        return self._for(loss.stream).lose(loss.id, loss.from_seq, loss.to_seq, loss.every)

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
        self._for(loss.stream).declared(loss.id)
        self._unsaved_streams.add(loss.stream)
        self._loss_acks.append(LossAck(self.uplink, loss.id, loss.to_seq))

    def rewind(self) -> None:
        """A session ended: what it did not acknowledge will be read from the log again."""
        self._scan_from, self._readings_from = self.scan_from, self.readings_from
        for one in self._by_stream.values():
            one.forget()
        self._count_backlog()

    async def open_losses(self, above: int = 0, limit: int = -1) -> list[Declared]:
        """Return the ledger entries above one that were not acknowledged, oldest first; limit -1: all."""
        return await self._db.run(queries.open_losses, self.uplink, above, limit)

    async def count_session(self) -> int:
        """Count one more CONNECT."""
        try:
            self._session = await self._db.run(transactions.count_session, self.uplink, self._session)
        except sqlite3.Error:  # a full disk is no reason not to connect
            self._session += 1
        return self._session

    async def descriptions(self) -> dict[int, tuple[str, str]]:
        """Return every description by id: hash and JSON body."""
        return await self._db.run(queries.descriptions)

    def add_to(self, checkpoint: Checkpoint) -> list[LossAck]:
        """Add what changed to a checkpoint; return the acknowledged declarations. Kept until ``saved``."""
        self.unsaved = 0
        checkpoint.scan_from[self.uplink] = self.scan_from
        checkpoint.acknowledged[self.uplink] = self.acknowledged
        for stream in self._unsaved_streams:
            checkpoint.delivery[self.uplink, stream] = self._for(stream).write()
        if (repairs := self.repairs.unsaved()) is not None:
            checkpoint.repairs[self.uplink] = repairs
        return list(self._loss_acks)

    def saved(self, checkpoint: Checkpoint, loss_acks: Sequence[LossAck]) -> None:
        """The checkpoint is on disk. What changed since it was taken stays to be written."""
        for (uplink, stream), written in checkpoint.delivery.items():
            if uplink == self.uplink and self._for(stream).write() == written:
                self._unsaved_streams.discard(stream)
        if self.uplink in checkpoint.repairs:
            self.repairs.saved(checkpoint.repairs[self.uplink])
        done = {ack for ack in loss_acks if ack.uplink == self.uplink}
        self._loss_acks = [ack for ack in self._loss_acks if ack not in done]
