"""What each uplink is owed: exactly what it has not acknowledged, whatever happens on the way."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from edge_agent.outbox import transactions
from edge_agent.outbox.delivery import CHECKPOINT_EVERY
from edge_agent.outbox.outbox import Outbox
from tests.outbox.test_commit import heard, writing
from tests.outbox.world import FakeClock, ask, crash, numbers, opened, owed, policy, reading

MARKS_MS = 10_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def keep(outbox: Outbox, count: int, device: str = "d1") -> None:
    for number in range(count):
        outbox.keep(reading(device, number))
    assert await outbox.flush()


async def mark(outbox: Outbox, clock: FakeClock) -> None:
    """Keep one more reading when marks are due."""
    clock.wait(MARKS_MS)
    await keep(outbox, 1)


async def test_uplinks_settle_apart(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, ["city", "park"]) as outbox:
        await keep(outbox, 10)
        outbox.deliveries["city"].settle(1, 1, 7)
        assert [delivery.backlog for delivery in outbox.deliveries.values()] == [3, 10]
    async with opened(path, clock, ["city", "park"]) as outbox:
        city, park = outbox.deliveries.values()
        assert (city.backlog, park.backlog) == (3, 10)
        assert [row.seq for row in await owed(city)] == [8, 9, 10]
        assert [row.seq for row in await owed(park)] == list(range(1, 11))


async def test_acknowledgements_may_come_in_any_order_and_twice(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        await keep(outbox, 10)
        delivery = outbox.deliveries["city"]
        for first, last in ((9, 10), (3, 4), (3, 5), (1, 1), (9, 10)):
            delivery.settle(1, first, last)
        assert (delivery.settled(1), delivery.backlog, delivery.acknowledged) == (1, 4, 6)
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        assert (delivery.settled(1), delivery.backlog) == (1, 4)
        assert [row.seq for row in await owed(delivery)] == [2, 6, 7, 8]


async def test_a_new_uplink_begins_now(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, kept_by=policy(memory=5)) as outbox:
        for number in range(8):
            outbox.keep(reading("d1", number))
        assert await outbox.flush()
    async with opened(path, clock, ["city", "park"]) as outbox:
        park = outbox.deliveries["park"]
        assert (park.backlog, park.settled(1), await park.open_losses()) == (0, 8, [])
        await keep(outbox, 2)
        await keep(outbox, 3, "d2")
        assert park.backlog == 5
        assert [(row.stream, row.seq) for row in await owed(park)] == [
            (1, 9),
            (1, 10),
            (2, 1),
            (2, 2),
            (2, 3),
        ]
        assert outbox.deliveries["city"].backlog == 10


async def test_a_device_that_comes_later_is_owed_from_its_first_reading(path: Path) -> None:
    async with opened(path, FakeClock()) as outbox:
        await outbox.enroll("late", "hash", "{}", ["temperature", "humidity"])
        await keep(outbox, 3, "late")
        assert outbox.deliveries["city"].backlog == 3
        assert outbox.last_seq("late") == 3


async def test_a_crash_sends_again_no_more_than_since_the_marks(path: Path, tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        delivery.low_water = lambda: delivery.settled(1) + 1  # one stream, so that id and seq are the same
        await keep(outbox, 100)
        delivery.settle(1, 1, 90)
        await mark(outbox, clock)
        delivery.settle(1, 91, 101)
        await keep(outbox, 5)
        path = crash(path, tmp_path / "crashed")
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        assert (delivery.settled(1), delivery.backlog, delivery.scan_from) == (90, 16, 91)
        assert [row.seq for row in await owed(delivery)] == list(range(91, 107))


async def test_a_long_drain_is_marked_even_when_no_readings_come(path: Path, tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, kept_by=policy(memory=2 * CHECKPOINT_EVERY)) as outbox:
        await keep(outbox, CHECKPOINT_EVERY + 10)
        delivery = outbox.deliveries["city"]
        async with writing(outbox):
            delivery.settle(1, 1, CHECKPOINT_EVERY - 1)
            assert not outbox._writer.pending.is_set()
            delivery.settle(1, CHECKPOINT_EVERY, CHECKPOINT_EVERY + 5)
            assert outbox._writer.pending.is_set()
            outbox.keep(reading("d2", 1))  # in the same commit as the marks
            await heard(outbox, 1)
        path = crash(path, tmp_path / "crashed")
    async with opened(path, clock) as outbox:
        assert outbox.deliveries["city"].backlog == 6
    # and without that reading
    async with opened(path, clock) as outbox:
        outbox.deliveries["city"].unsaved = CHECKPOINT_EVERY
        before = outbox._writer._checkpoints._taken_ms
        clock.wait(1)
        assert await outbox._writer._commit()
        assert outbox._writer._checkpoints._taken_ms > before


async def test_what_is_settled_while_the_marks_are_written_is_written_next_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        await keep(outbox, 10)
        delivery = outbox.deliveries["city"]
        delivery.settle(1, 1, 3)
        write = transactions.write

        def slow(db: sqlite3.Connection, *arguments: object) -> object:
            delivery.settle(1, 4, 5)  # as if a PUBACK came meanwhile
            return write(db, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(transactions, "write", slow)
        await mark(outbox, clock)
        monkeypatch.undo()
        assert ask(path, "SELECT settled FROM delivery") == [(3,)]
        await mark(outbox, clock)
        assert ask(path, "SELECT settled FROM delivery") == [(5,)]
        assert delivery.backlog == 7


async def test_marks_that_fail_are_repeated_and_never_go_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        await keep(outbox, 10)
        delivery = outbox.deliveries["city"]
        delivery.settle(1, 1, 3)

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(transactions, "write", full)
            clock.wait(MARKS_MS)
            outbox.keep(reading("d1", 1))
            assert not await outbox.flush()
            delivery.settle(1, 4, 9)
            assert not await outbox.flush()
        assert await outbox.flush()
        assert ask(path, "SELECT settled FROM delivery") == [(3,)]
        await mark(outbox, clock)
        assert ask(path, "SELECT settled FROM delivery") == [(9,)]


async def overflowed(outbox: Outbox, runs: int) -> None:
    """Keep two readings and lose one, again and again."""
    for number in range(runs):
        for _ in range(3):
            outbox.keep(reading("d1", number))
        assert await outbox.flush()


async def test_many_losses_that_are_not_acknowledged_hide_no_reading(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, kept_by=policy(memory=2)) as outbox:
        delivery = outbox.deliveries["city"]
        await overflowed(outbox, 100)
        for number in range(100):
            delivery.settle(1, 3 * number + 2, 3 * number + 3)
        delivery.low_water = lambda: delivery.last_id + 1  # all readings are settled
        assert delivery.backlog == 0
        delivery.rewind()
        assert delivery.backlog == len(await owed(delivery)) == 0
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        assert delivery.backlog == len(await owed(delivery)) == 0
        assert delivery.settled(1) == 0
        for loss in await delivery.open_losses():
            delivery.settle_loss(loss)
        assert delivery.settled(1) == 300
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        assert (delivery.settled(1), delivery.backlog, await delivery.open_losses()) == (300, 0, [])


async def test_ranges_beyond_the_bound_are_sent_again_and_counted(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        await keep(outbox, 300)
        for number in range(100):
            delivery.settle(1, 3 * number + 2, 3 * number + 3)
        delivery.low_water = lambda: 1
        delivery.rewind()
        assert delivery.backlog == len(await owed(delivery)) == 300 - 2 * 64
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        assert delivery.backlog == len(await owed(delivery)) == 300 - 2 * 64


async def test_a_rejected_reading_is_in_one_uplinks_ledger_only(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, ["city", "park"]) as outbox:
        await keep(outbox, 3)
        city, park = outbox.deliveries.values()
        row = (await owed(city))[1]
        loss = await city.reject(row, "too large")
        assert (city.backlog, park.backlog) == (2, 3)
        assert [row.seq for row in await owed(city)] == [1, 3]
        city.settle(1, 1, 1)
        city.settle(1, 3, 3)
        assert (city.settled(1), city.backlog) == (1, 0)
        city.settle_loss(loss)
        assert (city.settled(1), city.backlog) == (3, 0)
        assert await park.open_losses() == []
    async with opened(path, clock, ["city", "park"]) as outbox:
        city, park = outbox.deliveries.values()
        assert (city.settled(1), city.backlog, park.backlog) == (3, 0, 3)


async def test_a_reading_that_is_rejected_while_the_session_ends_is_declared_once(path: Path) -> None:
    """Nobody waits for the ledger any more, and it is written: what it has must not be sent again."""
    async with opened(path, FakeClock()) as outbox:
        await keep(outbox, 2)
        city = outbox.deliveries["city"]
        rejecting = asyncio.create_task(city.reject((await owed(city))[0], "too large"))
        await asyncio.sleep(0)
        rejecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rejecting
        city.rewind()
        await outbox.ping()
        assert [loss.from_seq for loss in await city.open_losses()] == [1]
        assert ([row.seq for row in await owed(city)], city.backlog) == ([2], 1)


async def test_a_session_is_counted_even_when_the_disk_is_full(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    clock = FakeClock()
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        assert [await delivery.count_session() for _ in range(2)] == [1, 2]
        with monkeypatch.context() as patch:
            patch.setattr(transactions, "count_session", full)
            assert [await delivery.count_session() for _ in range(2)] == [3, 4]
        assert await delivery.count_session() == 5
    async with opened(path, clock) as outbox:
        assert await outbox.deliveries["city"].count_session() == 6


async def test_without_an_uplink_readings_are_kept(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, []) as outbox:
        await keep(outbox, 3)
        await mark(outbox, clock)
    assert ask(path, "SELECT seq FROM log") == [(1,), (2,), (3,), (4,)]


async def test_reading_the_log_holds_its_ends_and_its_limit(path: Path) -> None:
    async with opened(path, FakeClock()) as outbox:
        await keep(outbox, 10)
        delivery = outbox.deliveries["city"]
        assert [row.id for row in await delivery.log.read(3, 7, 99)] == [3, 4, 5, 6, 7]
        assert [row.id for row in await delivery.log.read(3, 7, 2)] == [3, 4]
        assert await delivery.log.read(11, 99, 9) == []
        assert numbers(await delivery.log.read(10, 10, 9)) == [(1, 10, 9)]


async def test_an_entry_that_grows_while_its_acknowledgement_comes_stays_open(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        outbox._handover.overflow(1, 3, 5_000, 5_000)
        assert await outbox._writer._commit()
        (sent,) = await delivery.open_losses()
        assert (sent.from_seq, sent.to_seq) == (1, 3)
        outbox._handover.overflow(1, 3, 5_000, 5_000)
        growing = asyncio.create_task(outbox._writer._commit())
        await asyncio.sleep(0)  # it is on its way to the disk
        delivery.settle_loss(sent)
        assert await growing
        assert delivery.settled(1) == 0
        await mark(outbox, clock)
        assert [(loss.from_seq, loss.to_seq) for loss in await delivery.open_losses()] == [(1, 6)]
    async with opened(path, clock) as outbox:
        (grown,) = await outbox.deliveries["city"].open_losses()
        assert (grown.from_seq, grown.to_seq, grown.readings) == (1, 6, 6)
        outbox.deliveries["city"].settle_loss(sent)  # an acknowledgement of what it was says nothing
        assert outbox.deliveries["city"].settled(1) == 0
        outbox.deliveries["city"].settle_loss(grown)
        assert outbox.deliveries["city"].settled(1) == 6
