"""The outbox: readings come in, are numbered and written many at a time, and leave when all have them.

Between ``keep`` and the disk lies the one bounded hand-over in memory. What overflows there gets its number
and its ledger entry in the same transaction.
"""

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from edge_agent.clock import Clock
from edge_agent.outbox import machine, reconfigure, store
from edge_agent.outbox.commands import Commands
from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.handover import Carried
from edge_agent.outbox.opened import Opened
from edge_agent.outbox.opening import naming, open_file
from edge_agent.outbox.policy import USUAL, Care, Enrolment, Identity, Policy, Selection
from edge_agent.outbox.roster import Roster
from edge_agent.outbox.store import DiskError, Store
from edge_agent.outbox.witness import Testimony, Witness
from edge_agent.outbox.writer import MOST_PER_COMMIT, Writer
from edge_agent.reading import Reading
from edge_agent.row import Stream

log = logging.getLogger(__name__)


class Outbox:
    """Keeps readings in one SQLite file. Made by ``open``; ``run`` is the writer's task.

    ``disk`` says how the file does, ``timeline`` when a row was made, ``unwritten`` what was left in memory
    at the end, to go on elsewhere.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that ``open`` has found
        self,
        path: Path,
        db: Store,
        witness: Witness,
        opened: Opened,
        policy: Policy,
        clock: Clock,
        selections: Mapping[str, Selection],
        testimony: Testimony,
    ) -> None:
        self._writer = writer = Writer(path, db, witness, opened, policy, clock, selections)
        self.run, self.flush = writer.run, writer.flush
        self.epoch, self.streams, self.timeline = opened.epoch, opened.streams, writer.timeline
        self.disk, self.ping = writer.disk, db.ping
        self.learn_time, self.clock_known = writer.clock_watch.learn, writer.clock_watch.known
        self.commands = Commands(db, self.timeline, clock)
        self.device_memory, self.events = writer.device_memory, writer.events
        self.unwritten = Carried()
        self._db, self._witness, self._testimony = db, witness, testimony
        self._policy, self._selections, self._clock = policy, selections, clock
        self._handover, self._enrolled = writer.handover, writer.roster.enrolled

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
            with naming(path):
                db, opened = await open_file(path, witness, identity, clock, chosen, adopting)
                try:
                    here = machine.fingerprint()
                    known = Testimony(
                        opened.runs, opened.next_id, "open", opened.epoch, *identity, machine=here
                    )
                    outbox = cls(path, db, witness, opened, policy, clock, chosen, known)
                    await outbox._writer.recipients.count()
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
        others = (other for other in self._writer.roster.devices if other.device != device)
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
        writer = self._writer
        async with writer.lock:
            if not await writer.flush_locked():
                raise DiskError(f"the disk takes nothing now ({self.disk.problem}); try again once it does")
            now = reconfigure.present(self.epoch, writer.next_id, self.timeline, self._clock, self.streams)
            try:
                enrolled = await self._db.run(reconfigure.change, now, uplinks, devices)
            except sqlite3.Error as error:
                raise DiskError(f"cannot be written now ({error}); free space, and try again") from None
            self._policy, self._selections = policy, uplinks
            writer.limit(policy)
            for (stream, _), of in zip(enrolled, devices, strict=True):
                self.streams.setdefault(stream, Stream(stream, self.epoch, of.device, 1))
            await writer.recipients.change(now, uplinks)
            # last: until then somebody may ask about those that go
            writer.roster = roster = Roster(devices, enrolled)
            self._enrolled = roster.enrolled
            self._testify()
            return roster.descriptions

    def _testify(self) -> None:
        known = self._writer.roster.known | self.events.known
        self._testimony = replace(self._testimony, next_id=self._writer.next_id, devices=known)
        with suppress(OSError):  # a full disk is no reason not to run
            self._witness.write(self._testimony)

    @property
    def deliveries(self) -> Mapping[str, Delivery]:
        """What each uplink of the configuration is given, by name."""
        return self._writer.recipients.configured

    def last_seq(self, device: str) -> int:
        """The number of a device's last kept reading in this epoch, 0 before the first."""
        return self.streams[self._enrolled[device].stream].next_seq - 1

    @property
    def kept(self) -> int:
        """Readings that were ever kept in this file."""
        return self._writer.kept

    @property
    def lost(self) -> int:
        """Readings that were ever given up, as the ledger has them."""
        return self._writer.lost

    @property
    def waiting(self) -> int:
        """Readings in memory that wait for a commit."""
        return self._writer.waiting

    @property
    def unwritable(self) -> bool:
        """Whether the file cannot be written any more, and readings must go on in another."""
        return self._writer.unwritable

    @property
    def last_id(self) -> int:
        """The log id of the last row on disk."""
        return self._writer.next_id - 1

    def keep(self, reading: Reading, *, immediate: bool = False) -> None:
        """Take a reading over. It is on disk within the window, or at once when ``immediate``."""
        enrolled = self._enrolled[reading.device]
        waiting = self._handover.add(enrolled.stream, reading.mono_ms, enrolled.meta, enrolled.body(reading))
        self._writer.pending.set()
        if immediate or waiting >= MOST_PER_COMMIT:
            self._writer.at_once.set()

    def adopt(self, carried: Carried) -> None:
        """Take over what waited in an outbox that fell. Its devices must have been enrolled."""
        self._handover.adopt(carried, self._enrolled | self.events.enrolled)
        self._writer.pending.set()

    async def close(self) -> None:
        """Write what is pending, a checkpoint with it, and close the file. ``run`` must have been cancelled.

        What could not be written is in ``unwritten``.
        """
        try:
            self.unwritten = await self._writer.finish()
            if self.unwritten.total and not self.unwritable:
                log.error(
                    "outbox: %d readings could not be written and are lost with this stop",
                    self.unwritten.total,
                )
        finally:
            try:
                await self._db.close()
                if not self._writer.damaged:
                    self._witness.note(self._testimony.runs, self._writer.next_id, "closed")
            finally:
                self._witness.close()
