"""What was acknowledged without a true time is not forgotten until it went out once more."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.repairs import MOST, OwedRepairs
from edge_agent.row import Row
from tests.outbox.world import FakeClock, ask, crash, opened, reading

runs = st.lists(st.tuples(st.integers(1, 2_000), st.integers(0, 30)), max_size=200)


def test_touching_runs_become_one() -> None:
    again = OwedRepairs()
    for first, last in ((5, 6), (9, 9), (1, 3), (7, 8)):
        again.add(first, last)
    assert again.runs == [(1, 3), (5, 9)]
    again.add(2, 7)
    assert again.runs == [(1, 9)]


@given(runs, st.integers(0, 2_100))
def test_nothing_noted_is_missed_and_little_is_invented(added: list[tuple[int, int]], below: int) -> None:
    again, noted = OwedRepairs(), set[int]()
    for first, width in added:
        again.add(first, first + width)
        noted.update(range(first, first + width + 1))
    assert len(again.runs) <= MOST
    assert all(a[1] + 1 < b[0] for a, b in zip(again.runs, again.runs[1:], strict=False))
    covered = {id_ for first, last in again.runs for id_ in range(first, last + 1)}
    assert noted <= covered
    if len(again.runs) < MOST:
        assert covered == noted
    again.drop_below(below)
    left, at = set[int](), 0
    while (run := again.following(at)) is not None:
        left.update(range(run[0], run[1] + 1))
        at = run[1] + 1
    assert left == {id_ for id_ in covered if id_ >= below}


async def _log(delivery: Delivery) -> list[Row]:
    return await delivery.log.read(1, delivery.last_id, 10**6)


async def _kept(outbox: Outbox, clock: FakeClock, count: int, *devices: str) -> None:
    for number in range(count):
        for device in devices:
            outbox.keep(reading(device, number, clock.mono_ms()))
    await outbox.flush()


async def _to_go(delivery: Delivery) -> list[int]:
    found, at = [], 0
    while delivery.repairs.following(at):
        rows, at = await delivery.log.read_repairs(at, 3)
        found += [row.id for row in rows]
    return found


async def test_it_survives_restarts_and_neither_settled_nor_backlog_see_it(tmp_path: Path) -> None:
    clock = FakeClock(trust=False)
    path = tmp_path / "outbox.db"
    async with opened(path, clock) as outbox:
        await _kept(outbox, clock, 5, "d1", "d2")
        city = outbox.deliveries["city"]
        for row in await _log(city):
            if row.id <= 8:
                city.settle(row.stream, row.seq, row.seq)
                city.repairs.owe([row])
        before = [city.settled(stream) for stream in city.streams], city.backlog
    assert ask(path, "SELECT from_id, to_id FROM again") == [(1, 8)]
    clock.trust = True
    async with opened(path, clock) as outbox:
        city = outbox.deliveries["city"]
        assert await _to_go(city) == list(range(1, 9))
        city.repairs.drop_below(5)
        assert await _to_go(city) == [5, 6, 7, 8]
        assert ([city.settled(stream) for stream in city.streams], city.backlog) == before
        died = crash(path, tmp_path / "died")
    assert ask(died, "SELECT from_id, to_id FROM again") == [(1, 8)], "a crash sends some of it twice"
    async with opened(path, clock) as outbox:
        city = outbox.deliveries["city"]
        assert await _to_go(city) == [5, 6, 7, 8]
        city.repairs.drop_below(9)
    assert ask(path, "SELECT from_id, to_id FROM again") == []


async def test_what_an_earlier_boot_never_knew_is_not_noted(tmp_path: Path) -> None:
    clock = FakeClock(trust=False)
    async with opened(tmp_path / "outbox.db", clock) as outbox:
        await _kept(outbox, clock, 2, "d1")
    clock = FakeClock(boot_id="boot-2", mono=100, trust=False)
    async with opened(tmp_path / "outbox.db", clock) as outbox:
        await _kept(outbox, clock, 2, "d1")
        city = outbox.deliveries["city"]
        rows = await _log(city)
        city.settle(rows[0].stream, 1, 4)
        city.repairs.owe(rows)
        assert await _to_go(city) == [3, 4]


async def test_what_lies_between_and_is_still_owed_or_has_left_the_log_stays_out(tmp_path: Path) -> None:
    clock = FakeClock(trust=False)
    async with opened(tmp_path / "outbox.db", clock) as outbox:
        await _kept(outbox, clock, 4, "d1", "d2")
        city = outbox.deliveries["city"]
        rows = [row for row in await _log(city) if row.stream == 1]
        city.settle(1, 1, 4)
        city.repairs.owe(rows)
        assert await _to_go(city) == [row.id for row in rows]
        await outbox._db.run(lambda db: db.execute("DELETE FROM log WHERE id < 4"))
        assert await _to_go(city) == [row.id for row in rows if row.id >= 4]
