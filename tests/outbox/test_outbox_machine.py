"""Any history over a real file: for each uplink every number is owed, settled or in the ledger, just one."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.event import GATEWAY, Event
from edge_agent.outbox import eviction, queries, retention, stream_delivery, transactions, writer
from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Selection
from edge_agent.row import Declared, Row, Run
from tests.outbox.world import (
    NAMES,
    YEARS_56_MS,
    FakeClock,
    crash,
    lost,
    open_outbox,
    policy,
    reading,
    rows_of,
)

T = TypeVar("T")
UPLINKS = ("city", "park")
DEVICES = ("d1", "d2", "d3")
SMALL_FILE = 70_000  # bytes: no more than some hundreds of readings beside the tables
uplinks = st.sampled_from(UPLINKS)
configured = st.sampled_from([UPLINKS, UPLINKS, UPLINKS[:1]])  # "park" may be gone for a while
SMALL = (  # the same bounds as always, where a short history reaches them
    (retention, "_LEAST", 4),
    (stream_delivery, "_MOST_BEYOND", 2),
    (writer, "MOST_PER_COMMIT", 5),
)


class Session:
    """What an uplink does with its delivery, without a network. ``waiting`` is what it would send."""

    def __init__(self, part: Delivery, rows: list[Row]) -> None:
        self.waiting = rows
        self._part = part
        part.on_kept, part.low_water = self._kept, self._low_water

    def _kept(self, runs: Sequence[Run], _: Sequence[Declared]) -> None:
        self.waiting += rows_of(runs)

    def _low_water(self) -> int:
        return min((row.id for row in self.waiting), default=self._part.last_id + 1)


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.number = self.boots = self.crashes = 0
        self.known: dict[tuple[int, int], object] = {}  # what stood on disk under a number, ever
        self.acknowledged: dict[str, set[tuple[int, int]]] = {name: set() for name in UPLINKS}
        self.declared: dict[str, set[tuple[int, int]]] = {name: set() for name in UPLINKS}
        self.sessions: dict[str, Session] = {}
        self.small = ExitStack()
        for module, name, bound in SMALL:
            self.small.enter_context(patch.object(module, name, bound))
        self.path = self.folder / "outbox.db"

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize(size=st.sampled_from([SMALL_FILE, 10**9]))
    def begin(self, size: int) -> None:
        self.policy = policy(memory=6, replay=30, max_size=size)
        self._open(UPLINKS)

    def _open(self, names: Sequence[str]) -> None:
        self.outbox: Outbox = self.do(
            open_outbox(self.path, self.clock, names, kept_by=self.policy, devices=DEVICES[:2])
        )
        self.do(self.outbox.events.enroll())

    @rule(
        device=st.sampled_from(DEVICES),
        count=st.sampled_from([1, 2, 9, 150]),
        ms=st.sampled_from([0, 100, 12_000]),
    )
    def keep_and_commit(self, device: str, count: int, ms: int) -> None:
        self.clock.wait(ms)
        for _ in range(0, count, 5):
            self.keep(device, min(count, 5))
            self.commit()

    @rule(device=st.sampled_from(DEVICES), count=st.integers(1, 9))
    def keep(self, device: str, count: int) -> None:
        if device not in self.outbox._writer.roster.enrolled:
            self.do(self.outbox.enroll(device, "hash", "{}", NAMES))
        for _ in range(count):
            self.outbox.keep(reading(device, self.number, self.clock.mono_ms()))
            self.number += 1

    @rule()
    def commit(self) -> None:
        assert self.do(self.outbox.flush())

    @rule(after=st.booleans())
    def commit_that_fails(self, *, after: bool) -> None:
        write = transactions.write

        def failing(db: sqlite3.Connection, *arguments: Any) -> None:
            if after:
                write(db, *arguments)
            raise sqlite3.OperationalError("disk I/O error")

        with patch.object(transactions, "write", failing):
            assert self.do(self.outbox.flush()) is not (self.outbox.waiting > 0)

    @rule(count=st.integers(1, 3))
    def tell(self, count: int) -> None:
        for _ in range(count):
            self.outbox.events.tell(Event("restarted", GATEWAY, self.clock.mono_ms(), f"{self.number}"))
            self.number += 1

    @rule(names=configured)
    def reload(self, names: Sequence[str]) -> None:
        """Uplinks come and go while it runs."""
        for name in self.sessions.keys() - set(names):
            self.disconnect(name)
        self.do(
            self.outbox.change(
                self.policy, dict.fromkeys(names, Selection()), self.outbox._writer.roster.devices
            )
        )

    @rule(device=st.sampled_from(DEVICES[:2]))
    def room_that_is_made_and_not_heard_of(self, device: str) -> None:
        write, failures = eviction.evict, iter(range(1))

        def failing(db: sqlite3.Connection, *arguments: Any) -> Any:
            made = write(db, *arguments)
            if next(failures, None) is not None:
                raise sqlite3.OperationalError("disk I/O error")
            return made

        with patch.object(eviction, "evict", failing):
            self.keep_and_commit(device, 150, 12_000)

    @rule(turns=st.integers(0, 6))
    def commit_that_is_cancelled(self, turns: int) -> None:
        async def cancelled() -> None:
            flushing = asyncio.ensure_future(self.outbox.flush())
            for _ in range(turns):
                await asyncio.sleep(0)
            flushing.cancel()
            await asyncio.gather(flushing, return_exceptions=True)

        self.do(cancelled())

    @rule(ms=st.sampled_from([5_000, 40_000]))
    def time_passes(self, ms: int) -> None:
        self.clock.wait(ms)

    @rule(ms=st.sampled_from([YEARS_56_MS, -YEARS_56_MS, 3_600_000]), trust=st.booleans())
    def clock_steps(self, ms: int, *, trust: bool) -> None:
        self.clock.wall += ms
        self.clock.trust = trust

    @rule(name=uplinks)
    def connect(self, name: str) -> None:
        if name not in self.outbox.deliveries:
            return
        part = self.outbox.deliveries[name]
        part.rewind()
        rows = self.do(part.log.read(part.scan_from, part.last_id, 10**6))
        self.sessions[name] = Session(part, [row for row in rows if part.owes(row.stream, row.seq)])

    @rule(name=uplinks)
    def disconnect(self, name: str) -> None:
        if name not in self.sessions:
            return
        part = self.outbox.deliveries[name]
        part.rewind()
        part.on_kept = part.low_water = None
        self.sessions.pop(name, None)

    @precondition(lambda self: self.sessions)
    @rule(name=uplinks, at=st.integers(0, 60), count=st.integers(1, 5))
    def acknowledge(self, name: str, at: int, count: int) -> None:
        for run in self._runs(name, at, count):
            self.acknowledged[name] |= {(row.stream, row.seq) for row in run}
            for _ in range(1 + (at % 3 == 0)):  # the broker may say so twice
                self.outbox.deliveries[name].settle(run[0].stream, run[0].seq, run[-1].seq)

    @precondition(lambda self: self.sessions)
    @rule(name=uplinks)
    def acknowledge_all(self, name: str) -> None:
        while name in self.sessions and self.sessions[name].waiting:
            self.acknowledge(name, 0, 100)

    @precondition(lambda self: self.sessions)
    @rule(name=uplinks, at=st.integers(0, 60))
    def reject(self, name: str, at: int) -> None:
        for run in self._runs(name, at, 1):
            self.do(self.outbox.deliveries[name].reject(run[0], "too large"))

    def _runs(self, name: str, at: int, count: int) -> Iterator[list[Row]]:
        """Take a message of contiguous numbers of one device out of what a session would send."""
        session = self.sessions.get(name)
        if session is None or not session.waiting:
            return
        first = session.waiting[at % len(session.waiting)]
        of_stream = {row.seq: row for row in session.waiting if row.stream == first.stream}
        run = []
        for seq in range(first.seq, first.seq + count):
            if seq not in of_stream:
                break
            run.append(of_stream[seq])
        session.waiting = [row for row in session.waiting if row not in run]
        yield run

    @rule(name=uplinks, count=st.integers(1, 4))
    def acknowledge_losses(self, name: str, count: int) -> None:
        if name not in self.outbox.deliveries:
            return
        part = self.outbox.deliveries[name]
        for loss in self.do(part.open_losses())[:count]:
            part.settle_loss(loss)

    @rule(reboot=st.booleans(), names=configured)
    def stop_and_start(self, names: Sequence[str], *, reboot: bool) -> None:
        self.do(self.outbox.close())
        self._start(names, reboot=reboot)

    @rule(reboot=st.booleans(), names=configured)
    def crash(self, names: Sequence[str], *, reboot: bool) -> None:
        self.crashes += 1
        fallen = self.path
        self.path = crash(fallen, self.folder / str(self.crashes))
        self.do(self.outbox._db.close())
        self.outbox._witness.close()
        self._start(names, reboot=reboot)

    def _start(self, names: Sequence[str], *, reboot: bool) -> None:
        self.sessions.clear()
        if reboot:
            self.boots += 1
            self.clock.boot_id, self.clock.mono = f"later-{self.boots}", 0
        self._open(names)

    @invariant()
    def every_number_is_in_one_place(self) -> None:
        if not hasattr(self, "outbox"):
            return
        rows = self.do(self.outbox._db.run(queries.read, 1, 10**9, 10**6))
        for row in rows:
            said = orjson.loads(row.body)
            stream, seq, number = row.stream, row.seq, said[0] if row.meta else int(said["detail"])
            if row.id <= self.outbox.last_id:
                assert self.known.setdefault((stream, seq), number) == number, "a number names two readings"
        assert len(set(self.known.values())) == len(self.known), "a reading has two numbers"
        ids = {(row.stream, row.seq): row.id for row in rows}
        given = {(of.id, seq) for of in self.outbox.streams.values() for seq in range(1, of.next_seq)}
        assert self.known.keys() <= given, "kept, and forgotten"
        for name, part in self.outbox.deliveries.items():
            self.declared[name] |= set(lost(self.do(part.open_losses())))
            owed = {which for which in given if part.owes(*which)}
            events = {of.id for of in self.outbox.streams.values() if of.kind == "event"}
            assert part.backlog == sum(stream not in events for stream, _ in owed)
            assert part.owed == len(owed)
            assert owed <= ids.keys(), "owed, and no longer there"
            assert all(ids[which] >= part.scan_from for which in owed), "owed, and never read again"
            excluded = {of for of in given if part.exclusions.covers(*of)}  # it was not there then
            sent = self.acknowledged[name]
            assert given - owed <= sent | self.declared[name] | excluded, "neither sent nor declared"
            assert all(part.settled(stream) < seq for stream, seq in owed), "settled, and owed"

    def teardown(self) -> None:
        try:
            if hasattr(self, "outbox"):
                self.do(self.outbox.close())
        finally:
            self.small.close()
            self.loop.close()
            shutil.rmtree(self.folder)


OutboxMachine.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestAnyHistory = OutboxMachine.TestCase
