"""The writer: what waits in the hand-over is numbered and committed, many readings in one transaction.

It is the only one that appends to the log. Numbers are given just before the commit and count only once that
is heard to have succeeded; a batch whose outcome is not known is repeated as it is, and is then written once.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.outbox import ballast, capacity, transactions
from edge_agent.outbox.batch import Batch
from edge_agent.outbox.capacity import Capacity
from edge_agent.outbox.checkpoints import Checkpoints
from edge_agent.outbox.clock_watch import ClockWatch
from edge_agent.outbox.device_memory import DeviceMemory
from edge_agent.outbox.disk import Disk
from edge_agent.outbox.event_stream import EventStream
from edge_agent.outbox.handover import Carried, Handover
from edge_agent.outbox.ledger import Recorded
from edge_agent.outbox.opened import Opened
from edge_agent.outbox.policy import Policy, Selection
from edge_agent.outbox.recipients import Recipients
from edge_agent.outbox.retention import Retention
from edge_agent.outbox.roster import Roster
from edge_agent.outbox.store import DamagedError, ReadOnlyError, Store
from edge_agent.outbox.timeline import Timeline
from edge_agent.outbox.witness import Witness

log = logging.getLogger(__name__)

MOST_PER_COMMIT = 4000  # bounds the memory of a commit as well as its time
_SLOWEST_RETRY_S = 30.0


class Writer:
    """Commits what is ``pending``, one window after the first of it, or ``at_once``; ``run`` is its task.

    Whoever changes the file otherwise holds the ``lock``. ``next_id`` is the log id after the last row on
    disk, ``kept`` and ``lost`` count readings since the file was made.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that a run begins with
        self,
        path: Path,
        db: Store,
        witness: Witness,
        opened: Opened,
        policy: Policy,
        clock: Clock,
        selections: Mapping[str, Selection],
    ) -> None:
        self.pending, self.at_once, self.lock = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self.streams, self.next_id = opened.streams, opened.next_id
        self.kept, self.lost = opened.kept, opened.lost
        self.disk, self.damaged = Disk(path), False
        self.roster, self.handover = Roster(), Handover(policy.memory)
        self.timeline = Timeline(opened.boot, opened.ran_ms, opened.pieces)
        self.clock_watch = ClockWatch(self.timeline, clock)
        self.device_memory = DeviceMemory(opened.device_memory)
        self._retention = Retention(db, self.timeline, clock, policy, opened.first_id)
        self._capacity = Capacity(db, policy.max_size)
        self.recipients = Recipients(db, opened, selections, self.pending.set, self._retention.outlived)
        self.events = EventStream(db, opened, self.handover, self.recipients, self.pending.set)
        self._checkpoints = Checkpoints(clock.mono_ms())
        self._db, self._witness, self._runs = db, witness, opened.runs
        self._policy, self._clock = policy, clock
        self._unconfirmed: Batch | None = None  # was not heard to be written; repeated as it is
        self._closing = False
        db.on_damage = self._note_damage

    def limit(self, policy: Policy) -> None:
        """Keep as this says from now on."""
        self._policy = policy
        self.handover.most, self._capacity.max_size = policy.memory, policy.max_size
        self._retention.limit(policy)

    @property
    def waiting(self) -> int:
        """Readings in memory that wait for a commit."""
        return len(self.handover) + (len(self._unconfirmed.rows) if self._unconfirmed else 0)

    @property
    def unwritable(self) -> bool:
        """Whether the file cannot be written any more, and readings must go on in another."""
        return self.damaged or self.disk.read_only

    async def run(self) -> None:
        """Write what is pending, one window after the first of it, until cancelled.

        Raises:
            DamagedError: the file is damaged; opening it again salvages what can be read.
            ReadOnlyError: the card has turned read-only; what waits goes on in another place.
        """
        ballast.make(self.disk.path)
        retry = self._policy.window
        while True:
            await self.pending.wait()
            if not self.disk.problem:
                await _wait_at_most(self.at_once, self._policy.window)
            async with self.lock:
                written = await self._commit()
            if written:
                retry = self._policy.window
            else:
                if self.unwritable:
                    raise ReadOnlyError(str(self.disk.path))
                await asyncio.sleep(retry)
                retry = min(2 * retry, _SLOWEST_RETRY_S)

    async def flush(self) -> bool:
        """Write all that is pending now. Returns False when the disk does not take it."""
        async with self.lock:
            return await self.flush_locked()

    async def flush_locked(self) -> bool:
        """Do the same for one who holds the lock."""
        while self.handover or self._unconfirmed:
            if not await self._commit():
                return False
        return True

    async def finish(self) -> Carried:
        """Write what is pending and a last checkpoint; return what could not be written. ``run`` is over."""
        self._closing = True
        with suppress(DamagedError):
            if not self.damaged and await self.flush():
                await self._commit()
        # What a damaged file may have taken is not numbered again: the end of its epoch is declared.
        known = None if self.damaged else self._unconfirmed
        self._unconfirmed = None
        return self.handover.take_out(known, self.streams)

    async def _commit(self) -> bool:
        """Write one batch. Returns False when the disk did not take it."""
        try:
            if self._unconfirmed is None:
                self._unconfirmed = self._number()
                if self._closing or self._checkpoints.due(self._clock.mono_ms(), self.recipients):
                    self._unconfirmed = await self._with_checkpoint(self._unconfirmed)
            batch = self._unconfirmed
            uplinks, fixed = self.recipients.owed(batch.losses), capacity.fixed(self.recipients)
            recorded = await self._db.run(transactions.write, batch, uplinks, fixed)
        except sqlite3.Error as error:
            return self.disk.refused(error, self.waiting) and await self._commit()
        self._unconfirmed = None
        self.disk.took()
        self._written(batch, recorded)
        if self._capacity.appended(len(batch.rows)) or batch.checkpoint is not None:
            await self._make_room()
        if batch.checkpoint is not None:
            ballast.make(self.disk.path)
            running = self.timeline.running_ms(self.timeline.boot, self._clock.mono_ms())
            self.lost += await self.recipients.end_parking(running, self._policy.replay * 1000)
        if not self.handover:
            self.pending.clear()
            self.handover.overflowing = False
        return True

    def _number(self) -> Batch:
        """Number what waits. Nothing of it counts before it is written."""
        boot = self.timeline.boot
        refused = self.roster.refusing if self._capacity.full else ()
        rows, losses, next_seq = self.handover.number(
            self.streams, self.next_id, boot, MOST_PER_COMMIT, refused
        )
        if len(self.handover) < MOST_PER_COMMIT:
            self.at_once.clear()
        self._checkpoints.appended(next_seq, len(rows))
        memory = self.device_memory.take(whole=not self.handover)
        events = self.events.among(rows, next_seq), self.events.stream
        return Batch(rows, losses, self.clock_watch.take(), boot, next_seq, *events, device_memory=memory)

    async def _with_checkpoint(self, batch: Batch) -> Batch:
        now = self._clock.mono_ms()
        next_id = batch.rows[-1].id + 1 if batch.rows else self.next_id
        checkpoint, loss_acks = self._checkpoints.take(next_id, now, self.timeline.boot, self.recipients)
        drop_below = 0
        if not self._closing:
            floor = min(checkpoint.scan_from.values(), default=next_id)
            drop_below = await self._retention.drop_below(floor, self._checkpoints.rows)
        self._checkpoints.taken(now)  # the batch is repeated until it is written
        return replace(batch, checkpoint=checkpoint, drop_below=drop_below, loss_acks=loss_acks)

    def _written(self, batch: Batch, recorded: Sequence[Recorded]) -> None:
        if batch.rows:
            self.next_id = batch.rows[-1].id + 1
            self._witness.note(self._runs, self.next_id)
        for stream, next_seq in batch.next_seq.items():
            self.streams[stream].next_seq = next_seq
        self.lost += sum(loss.readings for loss in batch.losses)
        self.kept += len(batch.rows) - len(batch.events)
        if batch.drop_below:
            self._retention.dropped(batch.drop_below)
        self.recipients.kept(batch, recorded)

    async def _make_room(self) -> None:
        """Give up readings while the file is larger than it may be."""
        with suppress(sqlite3.Error):  # the next commit tells what is wrong with the disk
            if not await self._capacity.is_over():
                return
            # Rows go only on the strength of what the file knows; else the next commit repeats this.
            known = self._unconfirmed = await self._with_checkpoint(Batch([]))
            await self._db.run(transactions.write, known, {}, capacity.fixed(self.recipients))
            self._unconfirmed = None
            self._written(known, [])
            recipients, cares = tuple(self.recipients), self.roster.cares
            gone, first_id = await self._capacity.make_room(recipients, self.streams, cares)
            self.lost += gone
            self._retention.dropped(self.next_id if first_id is None else first_id)

    def _note_damage(self) -> None:
        if not self.damaged:
            log.error("outbox: the file is damaged; it is salvaged when it is opened again")
        self.damaged = True
        self._witness.note(self._runs, self.next_id, "damaged")


async def _wait_at_most(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
