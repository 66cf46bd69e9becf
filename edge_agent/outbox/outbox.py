"""The outbox: readings come in, are numbered and written many at a time, and leave when all have them.

Between ``keep`` and the disk lies the one bounded hand-over in memory. What overflows there gets its number
and its ledger entry in the same transaction.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from edge_agent.clock import Clock
from edge_agent.outbox import ballast, capacity, machine, reconfigure, store, transactions
from edge_agent.outbox.capacity import Capacity
from edge_agent.outbox.checkpoints import Checkpoints
from edge_agent.outbox.clock_watch import ClockWatch
from edge_agent.outbox.commands import Commands
from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.device_memory import DeviceMemory
from edge_agent.outbox.disk import Disk
from edge_agent.outbox.event_stream import EventStream
from edge_agent.outbox.eviction_order import USUAL, Care
from edge_agent.outbox.exclusions import Selection
from edge_agent.outbox.handover import Carried, Handover
from edge_agent.outbox.ledger import Made
from edge_agent.outbox.opening import open_file, told_of
from edge_agent.outbox.recipients import Recipients
from edge_agent.outbox.retention import Retention
from edge_agent.outbox.roster import Roster
from edge_agent.outbox.rows import Batch, Enrolment, Identity, Opened, Policy
from edge_agent.outbox.store import DamagedError, DiskError, ReadOnlyError, Store
from edge_agent.outbox.timeline import Timeline
from edge_agent.outbox.witness import Testimony, Witness
from edge_agent.reading import Reading
from edge_agent.row import Stream

log = logging.getLogger(__name__)

MOST_PER_COMMIT = 4000  # bounds the memory of a commit as well as its time
_SLOWEST_RETRY_S = 30.0


class Outbox:
    """Keeps readings in one SQLite file. Made by ``open``; ``run`` is the writer's task."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that ``open`` has found
        self,
        path: Path,
        db: Store,
        witness: Witness,
        opened: Opened,
        policy: Policy,
        clock: Clock,
        selections: Mapping[str, Selection],
    ) -> None:
        self.epoch, self.streams, self._next_id = opened.epoch, opened.streams, opened.next_id
        self.answer, self.disk = db.answer, Disk(path)
        self.timeline = Timeline(opened.boot, opened.ran_ms, opened.pieces)
        self._learning = ClockWatch(self.timeline, clock)
        self.learn_time, self.clock_known = self._learning.learn, self._learning.known
        self.commands, self.device_memory = Commands(db, self.timeline, clock), DeviceMemory(opened.memory)
        self._something, self._now = asyncio.Event(), asyncio.Event()
        self._retention = Retention(db, self.timeline, clock, policy, opened.first_id)
        marking, old = self._something.set, self._retention.outlived
        self._recipients = Recipients(db, opened, selections, marking, old)
        self.kept, self.lost = opened.kept, opened.lost
        self.unwritten = Carried()  # what could not be written before the end, to go on elsewhere
        self._db, self._witness, self._policy, self._clock = db, witness, policy, clock
        self._selections = selections
        self._testimony, self._damaged = Testimony(), False
        db.on_damage = self._note_damage
        self._capacity, self._roster = Capacity(db, policy.max_size), Roster()
        self._handover = Handover(policy.memory)
        self.events = EventStream(db, opened, self._handover, self._recipients, self._something.set)
        self._unsure: Batch | None = None  # was not heard to be written; repeated as it is
        self._committing, self._closing = asyncio.Lock(), False
        self._marking = Checkpoints(clock.mono_ms())

    @classmethod
    async def open(  # noqa: PLR0913, PLR0917 - all that a run begins with
        cls,
        path: Path,
        identity: Identity,
        policy: Policy,
        clock: Clock,
        uplinks: Sequence[str],
        selections: Mapping[str, Selection] | None = None,
        adopting: Path | None = None,
    ) -> Self:
        """Open the file, or make it. An uplink without a selection gets every device, and begins now.

        ``adopting`` is a volatile outbox; what is in it moves into this one.

        Raises:
            OutboxError: it cannot be used; the message names the file and the remedy.
            DamagedError: it is damaged, and salvaged when it is opened again.
        """
        witness = Witness(store.lock(path))
        chosen = {name: (selections or {}).get(name, Selection()) for name in uplinks}
        try:
            with told_of(path):
                db, opened = await open_file(path, witness, identity, clock, chosen, adopting)
                try:
                    outbox = cls(path, db, witness, opened, policy, clock, chosen)
                    outbox._testimony = Testimony(
                        opened.runs, opened.next_id, "open", opened.epoch, *identity, machine=machine.mark()
                    )
                    await outbox._recipients.count()
                except BaseException:
                    await db.close()
                    raise
        except BaseException:
            witness.close()
            raise
        outbox.learn_time()
        return outbox

    async def enroll(
        self, device: str, hash_: str, description: str, names: Sequence[str], care: Care = USUAL
    ) -> None:
        """Introduce one more device before its readings are kept. Raises as ``change``."""
        others = (other for other in self._roster.devices if other.device != device)
        one = Enrolment(device, hash_, description, names, care)
        await self.change(self._policy, self._selections, (*others, one))

    async def change(
        self, policy: Policy, uplinks: Mapping[str, Selection], devices: Sequence[Enrolment]
    ) -> Mapping[int, tuple[str, str]]:
        """From now on keep the readings of these devices, and for these uplinks. Returns their descriptions.

        These are hash and JSON body, by id. What was kept before stays owed to whom it was owed.

        Raises:
            DiskError: the disk takes nothing now, and nothing has changed.
            DamagedError: the file is damaged; opening it again salvages what can be read.
        """
        async with self._committing:
            if not await self._flush():
                raise DiskError(f"the disk takes nothing now ({self.disk.problem}); try again once it does")
            now = reconfigure.present(self.epoch, self._next_id, self.timeline, self._clock, self.streams)
            try:
                enrolled = await self._db.run(reconfigure.change, now, uplinks, devices)
            except sqlite3.Error as error:
                raise DiskError(f"cannot be written now ({error}); free space, and try again") from None
            self._policy, self._selections = policy, uplinks
            self._handover.most, self._capacity.max_size = policy.memory, policy.max_size
            self._retention.limit(policy)
            for (stream, _), of in zip(enrolled, devices, strict=True):
                self.streams.setdefault(stream, Stream(stream, self.epoch, of.device, 1))
            await self._recipients.change(now, uplinks)
            self._roster = Roster(devices, enrolled)  # last: until then somebody may ask about those that go
            self._testify()
            return self._roster.descriptions

    def _testify(self) -> None:
        known = self._roster.known | self.events.known
        self._testimony = replace(self._testimony, next_id=self._next_id, devices=known)
        with suppress(OSError):  # a full disk is no reason not to run
            self._witness.write(self._testimony)

    @property
    def deliveries(self) -> Mapping[str, Delivery]:
        """What each uplink of the configuration is given, by name."""
        return self._recipients.configured

    def last_seq(self, device: str) -> int:
        """The number of a device's last kept reading in this epoch, 0 before the first."""
        return self.streams[self._roster.enrolled[device].stream].next_seq - 1

    @property
    def waiting(self) -> int:
        """Readings in memory that wait for a commit."""
        return len(self._handover) + (len(self._unsure.rows) if self._unsure else 0)

    @property
    def unwritable(self) -> bool:
        """Whether the file cannot be written any more, and readings must go on in another."""
        return self._damaged or self.disk.read_only

    @property
    def last_id(self) -> int:
        """The log id of the last row on disk."""
        return self._next_id - 1

    def keep(self, reading: Reading, *, immediate: bool = False) -> None:
        """Take a reading over. It is on disk within the window, or at once when ``immediate``."""
        enrolled = self._roster.enrolled[reading.device]
        waiting = self._handover.add(enrolled.stream, reading.mono_ms, enrolled.meta, enrolled.body(reading))
        self._something.set()
        if immediate or waiting >= MOST_PER_COMMIT:
            self._now.set()

    async def run(self) -> None:
        """Write what is pending, one window after the first of it, until cancelled.

        Raises:
            DamagedError: the file is damaged; opening it again salvages what can be read.
            ReadOnlyError: the card has turned read-only; what waits goes on in another place.
        """
        ballast.make(self.disk.path)
        retry = self._policy.window
        while True:
            await self._something.wait()
            if not self.disk.problem:
                await _wait_at_most(self._now, self._policy.window)
            async with self._committing:
                written = await self._commit()
            if written:
                retry = self._policy.window
            else:
                if self.unwritable:
                    raise ReadOnlyError(str(self.disk.path))
                await asyncio.sleep(retry)
                retry = min(2 * retry, _SLOWEST_RETRY_S)

    async def _commit(self) -> bool:
        """Write one batch. Returns False when the disk did not take it."""
        try:
            if self._unsure is None:
                self._unsure = self._number()
                if self._closing or self._marking.due(self._clock.mono_ms(), self._recipients):
                    self._unsure = await self._with_marks(self._unsure)
            batch = self._unsure
            uplinks, fixed = self._recipients.owed(batch.losses), capacity.fixed(self._recipients)
            made = await self._db.run(transactions.write, batch, uplinks, fixed)
        except sqlite3.Error as error:
            return self.disk.refused(error, self.waiting) and await self._commit()
        self._unsure = None
        self.disk.took()
        self._written(batch, made)
        if self._capacity.came(len(batch.rows)) or batch.checkpoint is not None:
            await self._make_room()
        if batch.checkpoint is not None:
            ballast.make(self.disk.path)
            running = self.timeline.running_ms(self.timeline.boot, self._clock.mono_ms())
            self.lost += await self._recipients.end_parking(running, self._policy.replay * 1000)
        if not self._handover:
            self._something.clear()
            self._handover.overflowing = False
        return True

    def _written(self, batch: Batch, made: Sequence[Made]) -> None:
        if batch.rows:
            self._next_id = batch.rows[-1].id + 1
            self._witness.note(self._testimony.runs, self._next_id)
        for stream, next_seq in batch.next_seq.items():
            self.streams[stream].next_seq = next_seq
        self.lost += sum(loss.readings for loss in batch.losses)
        self.kept += len(batch.rows) - len(batch.events)
        if batch.drop_below:
            self._retention.dropped(batch.drop_below)
        self._recipients.kept(batch, made)

    async def _make_room(self) -> None:
        """Give up readings while the file is larger than it may be."""
        with suppress(sqlite3.Error):  # the next commit tells what is wrong with the disk
            if not await self._capacity.is_over():
                return
            # Rows go only on the strength of what the file knows; else the next commit repeats this.
            known = self._unsure = await self._with_marks(Batch([]))
            await self._db.run(transactions.write, known, {}, capacity.fixed(self._recipients))
            self._unsure = None
            self._written(known, [])
            recipients, cares = tuple(self._recipients), self._roster.cares
            gone, first_id = await self._capacity.make_room(recipients, self.streams, cares)
            self.lost += gone
            self._retention.dropped(self._next_id if first_id is None else first_id)

    def _number(self) -> Batch:
        """Number what waits. Nothing of it counts before it is written."""
        boot = self.timeline.boot
        refused = self._roster.refusing if self._capacity.full else ()
        rows, losses, next_seq = self._handover.number(
            self.streams, self._next_id, boot, MOST_PER_COMMIT, refused
        )
        if len(self._handover) < MOST_PER_COMMIT:
            self._now.clear()
        self._marking.appended(next_seq, len(rows))
        memory, events = self.device_memory.take(whole=not self._handover), self.events.among(rows, next_seq)
        news = events, self.events.stream
        return Batch(rows, losses, self._learning.take(), boot, next_seq, *news, memory=memory)

    async def _with_marks(self, batch: Batch) -> Batch:
        now = self._clock.mono_ms()
        next_id = batch.rows[-1].id + 1 if batch.rows else self._next_id
        marks, declared = self._marking.marks(next_id, now, self.timeline.boot, self._recipients)
        drop_below = 0
        if not self._closing:
            floor = min(marks.scan_from.values(), default=next_id)
            drop_below = await self._retention.drop_below(floor, self._marking.rows)
        self._marking.done(now)  # the batch is repeated until it is written
        return replace(batch, checkpoint=marks, drop_below=drop_below, loss_acks=declared)

    async def flush(self) -> bool:
        """Write all that is pending now. Returns False when the disk does not take it."""
        async with self._committing:
            return await self._flush()

    async def _flush(self) -> bool:
        while self._handover or self._unsure:
            if not await self._commit():
                return False
        return True

    def _note_damage(self) -> None:
        if not self._damaged:
            log.error("outbox: the file is damaged; it is salvaged when it is opened again")
        self._damaged = True
        self._witness.note(self._testimony.runs, self._next_id, "damaged")

    def adopt(self, carried: Carried) -> None:
        """Take over what waited in an outbox that fell. Its devices must have been enrolled."""
        self._handover.adopt(carried, self._roster.enrolled | self.events.enrolled)
        self._something.set()

    async def close(self) -> None:
        """Write what is pending, the marks with it, and close the file. ``run`` must have been cancelled.

        What could not be written is in ``unwritten``.
        """
        self._closing = True
        try:
            with suppress(DamagedError):
                if not self._damaged and await self.flush():
                    await self._commit()
            # What a damaged file may have taken is not numbered again: the end of its epoch is declared.
            known = None if self._damaged else self._unsure
            self.unwritten = self._handover.take_out(known, self.streams)
            self._unsure = None
            if self.unwritten.total and not self.unwritable:
                log.error(
                    "outbox: %d readings could not be written and are lost with this stop",
                    self.unwritten.total,
                )
        finally:
            try:
                await self._db.close()
                if not self._damaged:
                    self._witness.note(self._testimony.runs, self._next_id, "closed")
            finally:
                self._witness.close()


async def _wait_at_most(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
