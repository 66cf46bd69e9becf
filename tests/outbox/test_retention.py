"""What leaves the outbox: only what every uplink has, and only when it is old, or the file too large."""

from pathlib import Path

import pytest

from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.outbox import Outbox
from tests.outbox.world import YEARS_56_MS, FakeClock, ask, lost, opened, policy, reading

MARKS_MS = 10_000
DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def keep(outbox: Outbox, clock: FakeClock, count: int) -> None:
    for number in range(count):
        outbox.keep(reading("d1", number, clock.mono_ms()))
    assert await outbox.flush()


def settle_all(outbox: Outbox, *names: str) -> None:
    for name in names:
        delivery = outbox.deliveries[name]
        delivery.settle(1, 1, outbox.last_seq("d1"))
        delivery.low_water = lambda delivery=delivery: delivery.last_id + 1


async def a_while(outbox: Outbox, clock: FakeClock) -> None:
    """Let so many marks be written that all goes that may."""
    for _ in range(4):
        clock.wait(MARKS_MS)
        await keep(outbox, clock, 1)
        settle_all(outbox, *(name for name, delivery in outbox.deliveries.items() if delivery.low_water))


def first_id(path: Path) -> int:
    ((first,),) = ask(path, "SELECT min(id) FROM log")
    return int(first)


async def test_old_readings_go_when_every_uplink_has_them(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, ["city", "park"]) as outbox:
        await keep(outbox, clock, 10_000)
        clock.wait(2 * DAY_MS)
        await keep(outbox, clock, 1)
        settle_all(outbox, "city")
        await a_while(outbox, clock)
        assert first_id(path) == 1, "the other uplink has nothing yet"
        settle_all(outbox, "park")
        await a_while(outbox, clock)
        assert 8_000 < first_id(path) <= 10_001, "only what is old"
        assert [delivery.backlog for delivery in outbox.deliveries.values()] == [0, 0]
    async with opened(path, clock, ["city", "park"]) as outbox:
        assert [delivery.backlog for delivery in outbox.deliveries.values()] == [0, 0]
        assert outbox.last_seq("d1") == 10_009


async def test_the_replay_window_is_kept(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        await keep(outbox, clock, 10_000)
        clock.wait(DAY_MS - 5 * MARKS_MS)
        settle_all(outbox, "city")
        await a_while(outbox, clock)
        assert first_id(path) == 1


@pytest.mark.parametrize("step", [YEARS_56_MS, -YEARS_56_MS])
@pytest.mark.parametrize("trusted", [True, False])
async def test_a_step_of_the_wall_clock_expires_nothing(path: Path, step: int, *, trusted: bool) -> None:
    clock = FakeClock(trust=trusted)
    async with opened(path, clock) as outbox:
        await keep(outbox, clock, 10_000)
        clock.wall += step
        settle_all(outbox, "city")
        await a_while(outbox, clock)
        assert first_id(path) == 1


async def test_time_switched_off_does_not_age_and_running_time_of_earlier_boots_does(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        await keep(outbox, clock, 10_000)
        settle_all(outbox, "city")
        clock.wait(DAY_MS // 2)
        await a_while(outbox, clock)
    clock = FakeClock("boot-2", mono=0, wall=clock.wall + YEARS_56_MS)
    async with opened(path, clock) as outbox:
        settle_all(outbox, "city")
        await a_while(outbox, clock)
        assert first_id(path) == 1
        clock.wait(DAY_MS // 2)
        await a_while(outbox, clock)
        assert first_id(path) > 8_000


async def test_a_file_that_is_too_large_loses_first_what_is_settled(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        await keep(outbox, clock, 10_000)
        settle_all(outbox, "city")
    async with opened(path, clock, kept_by=policy(max_size=200_000)) as outbox:
        await a_while(outbox, clock)
        assert first_id(path) > 4_000
        assert (outbox.lost, await outbox.deliveries["city"].open_losses()) == (0, [])


async def test_what_is_given_up_for_room_is_declared_to_those_who_did_not_have_it(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, ["city", "park"], kept_by=policy(max_size=200_000)) as outbox:
        city, park = outbox.deliveries.values()
        for run in range(30):
            await keep(outbox, clock, 400)
            top = outbox.last_seq("d1")
            city.settle(1, top - 399, top)
            if run % 2:
                park.settle(1, top - 9, top - 5)  # a hole in what it is owed
            clock.wait(MARKS_MS)
        assert city.backlog == 0
        assert await city.open_losses() == []
        await check_given_up(park)
    async with opened(path, clock, ["city", "park"], kept_by=policy(max_size=200_000)) as outbox:
        assert outbox.deliveries["city"].backlog == 0
        await check_given_up(outbox.deliveries["park"])


async def check_given_up(park: Delivery) -> None:
    every = range(1, 12_001)
    losses = await park.open_losses()
    gone = {seq for _, seq in lost(losses)}
    there = {row.seq for row in await park.log.read(1, 10**6, 10**6)}
    acknowledged = {seq for seq in every if seq % 800 in range(791, 796)}
    assert {loss.reason for loss in losses} == {"capacity"}
    assert (
        {seq for seq in every if park.owes(1, seq)}
        == there - acknowledged
        == set(every) - gone - acknowledged
    )
    assert park.backlog == len(there - acknowledged)
    assert sum(loss.readings or 0 for loss in losses) == len(gone - acknowledged)


async def test_the_file_stays_within_its_size_at_a_steady_rate(path: Path) -> None:
    clock = FakeClock()
    most = 1_000_000
    async with opened(path, clock, kept_by=policy(max_size=most)) as outbox:
        sizes = []
        for _ in range(40):
            await keep(outbox, clock, 3_000)
            settle_all(outbox, "city")
            clock.wait(MARKS_MS)
            ((pages,),), ((free,),) = ask(path, "PRAGMA page_count"), ask(path, "PRAGMA freelist_count")
            sizes.append((pages - free) * 1024)
        assert max(sizes[20:]) < 1.7 * most
        assert path.stat().st_size < 3 * most, "freed pages are used again"  # noqa: ASYNC240 - nothing else runs


async def test_no_id_is_used_twice_after_rows_were_deleted(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, kept_by=policy(max_size=1)) as outbox:
        await keep(outbox, clock, 9_000)
        settle_all(outbox, "city")
        await a_while(outbox, clock)
        last = outbox.last_id
    async with opened(path, clock) as outbox:
        await keep(outbox, clock, 1)
        assert outbox.last_id == last + 1
        assert outbox.last_seq("d1") == 9_005
