"""Group commit: durable within the window, numbered without gaps, written once however often it is tried."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_agent.outbox import transactions
from edge_agent.outbox.batch import Batch
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.writer import MOST_PER_COMMIT
from edge_agent.reading import Grade, Quality, Reading
from edge_agent.row import Declared, Row, Run
from tests.outbox.world import FakeClock, ask, numbers, opened, policy, reading, rows_of

SOON = 20  # seconds: a limit, not a measure


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@asynccontextmanager
async def writing(outbox: Outbox) -> AsyncIterator[None]:
    writer = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer


async def heard(outbox: Outbox, rows: int) -> list[list[Row]]:
    """Wait for the commits that hold so many rows, and return the rows of each."""
    commits: list[list[Row]] = []
    enough = asyncio.Event()

    def kept(runs: Sequence[Run], _: Sequence[Declared]) -> None:
        commits.append(rows_of(runs))
        if sum(map(len, commits)) >= rows:
            enough.set()

    outbox.deliveries["city"].on_kept = kept
    async with asyncio.timeout(SOON):
        await enough.wait()
    return commits


async def test_a_window_is_one_commit(path: Path) -> None:
    async with opened(path, FakeClock(), kept_by=policy(window=0.3)) as outbox, writing(outbox):
        for number in range(50):
            outbox.keep(reading("d1", number))
        assert outbox.waiting == 50
        commits = await heard(outbox, 50)
        assert [len(rows) for rows in commits] == [50]
        assert (outbox.waiting, outbox.kept, outbox.last_seq("d1")) == (0, 50, 50)
        assert ask(path, "SELECT count(*) FROM log") == [(50,)]


async def test_an_immediate_reading_takes_along_what_waits(path: Path) -> None:
    async with opened(path, FakeClock(), kept_by=policy(window=3600)) as outbox, writing(outbox):
        outbox.keep(reading("d1", 1))
        outbox.keep(reading("d2", 2), immediate=True)
        assert [len(rows) for rows in await heard(outbox, 2)] == [2]
        outbox.keep(reading("d2", 3), immediate=True)  # once more: nothing of it may stick
        assert [len(rows) for rows in await heard(outbox, 1)] == [1]


async def test_a_commit_is_bounded_and_does_not_wait_when_it_is_full(path: Path) -> None:
    async with opened(path, FakeClock(), kept_by=policy(window=3600)) as outbox, writing(outbox):
        for number in range(2 * MOST_PER_COMMIT):
            outbox.keep(reading("d1", number))
        commits = await heard(outbox, 2 * MOST_PER_COMMIT)
        assert [len(rows) for rows in commits] == [MOST_PER_COMMIT, MOST_PER_COMMIT]


async def test_nobody_hears_of_a_reading_before_it_is_on_disk(path: Path) -> None:
    async with opened(path, FakeClock()) as outbox:
        found: list[int] = []
        outbox.deliveries["city"].on_kept = lambda runs, _: found.extend(
            len(ask(path, "SELECT 1 FROM log WHERE stream = ? AND seq = ?", row.stream, row.seq))
            for row in rows_of(runs)
        )
        for number in range(5):
            outbox.keep(reading("d1", number))
        assert await outbox.flush()
        assert found == [1] * 5


async def test_numbers_are_per_device_and_in_the_order_of_keeping(path: Path) -> None:
    async with opened(path, FakeClock()) as outbox:
        for number in range(6):
            outbox.keep(reading("d1" if number % 3 else "d2", number))
        assert await outbox.flush()
        rows = await outbox.deliveries["city"].log.read(1, 99, 99)
        assert numbers(rows) == [(2, 1, 0), (1, 1, 1), (1, 2, 2), (2, 2, 3), (1, 3, 4), (1, 4, 5)]
        assert [row.id for row in rows] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("made", "body"),
    [
        (Reading("d1", 1, {"humidity": 1.5, "temperature": 20}), b"[20,1.5]"),
        (Reading("d1", 1, {"humidity": True, "temperature": False}), b"[false,true]"),
        (Reading("d1", 1, {"humidity": 1.5}), b'{"v":[null,1.5],"q":{}}'),
        (Reading("d1", 1, {"humidity": 1.5, "temperature": "on"}), b'{"v":["on",1.5],"q":{}}'),
        (Reading("d1", 1, {"humidity": 1.5, "temperature": float("nan")}), b'{"v":[null,1.5],"q":{}}'),
        (
            Reading("d1", 1, {"humidity": 120}, {"humidity": Quality(Grade.SUSPECT, "above_plausible")}),
            b'{"v":[null,120],"q":{"humidity":["suspect","above_plausible"]}}',
        ),
        (
            Reading("d1", 1, {}, {"temperature": Quality(Grade.BAD, "unknown")}),
            b'{"v":[null,null],"q":{"temperature":["bad","unknown"]}}',
        ),
    ],
)
async def test_a_body_says_what_was_read(path: Path, made: Reading, body: bytes) -> None:
    async with opened(path, FakeClock()) as outbox:
        outbox.keep(made)
        assert await outbox.flush()
        (row,) = await outbox.deliveries["city"].log.read(1, 9, 9)
        assert row.body == body


async def test_a_device_with_one_channel_has_a_list_too(path: Path) -> None:
    async with opened(path, FakeClock(), devices=[]) as outbox:
        await outbox.enroll("d1", "hash", "{}", ["contact"])
        outbox.keep(Reading("d1", 1, {"contact": True}))
        assert await outbox.flush()
        (row,) = await outbox.deliveries["city"].log.read(1, 9, 9)
        assert row.body == b"[true]"


async def test_what_overflows_is_in_the_ledger_with_the_numbers_before_the_rest(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, kept_by=policy(memory=10)) as outbox:
        for number in range(30):
            outbox.keep(reading("d1" if number % 2 else "d2", number, 5_000 + number))
        assert outbox.waiting == 10
        told: list[Declared] = []
        outbox.deliveries["city"].on_kept = lambda _, declared: told.extend(declared)
        assert await outbox.flush()
        delivery = outbox.deliveries["city"]
        assert told == await delivery.open_losses()
        assert [loss[1:10] for loss in told] == [
            (2, 1, 10, 10, 1, 5_000, 1, 5_018, "overflow"),
            (1, 1, 10, 10, 1, 5_001, 1, 5_019, "overflow"),
        ]
        rows = await delivery.log.read(1, 99, 99)
        assert numbers(rows) == [(1 + (n % 2 == 0), 11 + (n - 20) // 2, n) for n in range(20, 30)]
        assert (outbox.kept, outbox.lost, delivery.backlog) == (10, 20, 10)
    async with opened(path, clock) as outbox:
        assert (outbox.last_seq("d1"), outbox.deliveries["city"].backlog) == (15, 10)


class Failing:
    """Stands before a transaction: lets it fail before it, or after (as when its end was not heard)."""

    def __init__(self, times: int, *, after: bool) -> None:
        self.times, self.after = times, after
        self._write = transactions.write

    def __call__(self, db: sqlite3.Connection, batch: Batch, *others: Any) -> list[Any]:
        if self.times:
            self.times -= 1
            if self.after:
                self._write(db, batch, *others)
            raise sqlite3.OperationalError("disk I/O error")
        return self._write(db, batch, *others)


@pytest.mark.parametrize("after", [False, True])
async def test_a_commit_that_is_tried_again_keeps_everything_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    clock = FakeClock()
    async with opened(path, clock, ["city", "park"], kept_by=policy(memory=4)) as outbox:
        told: list[Declared] = []
        outbox.deliveries["city"].on_kept = lambda _, declared: told.extend(declared)
        monkeypatch.setattr(transactions, "write", Failing(3, after=after))
        for number in range(6):
            outbox.keep(reading("d1", number))
        clock.wait(60_000)  # marks are due, too
        for waiting in (4, 5, 6):  # what came meanwhile waits behind
            assert not await outbox.flush()
            assert outbox.disk.problem
            assert outbox.waiting == waiting
            outbox.keep(reading("d1", 2 + waiting))
        assert await outbox.flush()
        assert outbox.disk.problem == ""
        assert told == await outbox.deliveries["city"].open_losses(), "the uplink hears of the loss"
        for delivery in outbox.deliveries.values():
            assert [loss[1:5] for loss in await delivery.open_losses()] == [(1, 1, 2, 2)]
        rows = await outbox.deliveries["city"].log.read(1, 99, 99)
        assert numbers(rows) == [(1, 3 + n, 2 + n) for n in range(7)]
        assert [delivery.backlog for delivery in outbox.deliveries.values()] == [7, 7]
        assert (outbox.kept, outbox.lost) == (7, 2)
    assert ask(path, "SELECT uplink FROM loss_owed ORDER BY uplink") == [(1,), (2,)]


async def test_the_writer_recovers_by_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(path, FakeClock()) as outbox, writing(outbox):
        monkeypatch.setattr(transactions, "write", Failing(3, after=True))
        for number in range(3):
            outbox.keep(reading("d1", number))
        assert [len(rows) for rows in await heard(outbox, 3)] == [3]


async def test_a_writer_that_is_cancelled_anywhere_loses_and_doubles_nothing(path: Path) -> None:
    clock, kept = FakeClock(), 0
    async with opened(path, clock) as outbox:
        for turns in range(40):
            clock.wait(20_000 if turns % 3 == 0 else 1)  # with marks, and without
            writer = asyncio.create_task(outbox.run())
            for _ in range(3):
                outbox.keep(reading("d1", kept), immediate=True)
                kept += 1
            for _ in range(turns % 12):
                await asyncio.sleep(0)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
        assert await outbox.flush()
        rows = await outbox.deliveries["city"].log.read(1, 999, 999)
        assert numbers(rows) == [(1, n + 1, n) for n in range(kept)]
        assert (outbox.kept, outbox.deliveries["city"].backlog) == (kept, kept)


async def test_a_stop_that_cannot_write_says_how_many_are_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path, FakeClock(), kept_by=policy(memory=5)) as outbox:
        monkeypatch.setattr(transactions, "write", Failing(99, after=False))
        for number in range(8):
            outbox.keep(reading("d1", number))
        assert not await outbox.flush()
        for number in range(7):
            outbox.keep(reading("d1", number))
    assert "outbox: 15 readings could not be written and are lost with this stop" in caplog.messages
    assert sum("the oldest are given up" in message for message in caplog.messages) == 1


def test_the_stand_in_for_a_failing_disk_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    failing: Callable[..., object] = Failing(1, after=False)
    with pytest.raises(sqlite3.OperationalError):
        failing(None, None, None)
    monkeypatch.undo()
