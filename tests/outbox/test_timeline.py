"""When a reading was made, whatever the clocks did since."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.outbox.timeline import MOST_PIECES, STEP_MS, Timeline
from edge_agent.row import Moment
from tests.outbox.world import NOW_MS, YEARS_56_MS, FakeClock, ask, opened, reading


def test_a_known_clock_gives_wall_time() -> None:
    timeline = Timeline(1, {}, {})
    assert timeline.learn(1_000, NOW_MS, trusted=True) == (1_000, NOW_MS - 1_000)
    assert timeline.known
    assert timeline.moment(1, 4_000) == Moment(NOW_MS + 3_000)


def test_what_came_before_the_clock_was_known_is_repaired() -> None:
    timeline = Timeline(1, {}, {})
    timeline.learn(1_000, 7_000, trusted=False)
    before = timeline.moment(1, 1_500)
    assert before == Moment(7_500, "unsynchronised", (None, None))
    timeline.learn(2_000, NOW_MS, trusted=True)
    assert timeline.moment(1, 1_500) == Moment(NOW_MS - 500, "repaired")
    assert timeline.moment(1, 2_000) == Moment(NOW_MS)


def test_a_step_begins_a_new_piece_and_leaves_the_old_one() -> None:
    timeline = Timeline(1, {}, {})
    timeline.learn(1_000, NOW_MS, trusted=True)
    assert timeline.learn(10_000, NOW_MS - 3_600_000, trusted=True) == (10_000, NOW_MS - 3_610_000)
    assert timeline.moment(1, 9_999) == Moment(NOW_MS + 8_999)
    assert timeline.moment(1, 10_000) == Moment(NOW_MS - 3_600_000)


@given(st.lists(st.integers(0, 50), max_size=6, unique=True), st.integers(0, 60), st.integers(0, 60))
def test_one_offset_is_given_only_where_it_is_that_of_every_moment_between(
    steps: list[int], first: int, last: int
) -> None:
    timeline = Timeline(1, {}, {1: [(at, at * 1_000) for at in sorted(steps)]})
    first, last = sorted((first, last))
    told = timeline.offset(1, first, last)
    moments = {
        timeline.moment(1, at)._replace(ts=timeline.moment(1, at).ts - at) for at in range(first, last + 1)
    }
    true = len(moments) == 1 and not next(iter(moments)).clock
    assert told == (moments.pop().ts if true else None)


def test_drift_is_no_step_until_it_is_one() -> None:
    timeline = Timeline(1, {}, {})
    timeline.learn(0, NOW_MS, trusted=True)
    assert timeline.learn(1_000, NOW_MS + 1_000 + STEP_MS - 1, trusted=True) is None
    assert timeline.learn(2_000, NOW_MS + 2_000 + STEP_MS, trusted=True) is not None
    assert timeline.moment(1, 500) == Moment(NOW_MS + 500)


def test_a_clock_that_is_not_trusted_any_more_changes_nothing() -> None:
    timeline = Timeline(1, {}, {})
    timeline.learn(0, NOW_MS, trusted=True)
    assert timeline.learn(1_000, 0, trusted=False) is None
    assert timeline.moment(1, 1_000) == Moment(NOW_MS + 1_000)


def test_a_boot_that_never_knew_lies_between_its_neighbours() -> None:
    # boot 1 knew the time and ran 100 s, boots 2 and 3 never did, boot 4 does
    ran = {1: 100_000, 2: 50_000, 3: 20_000}
    timeline = Timeline(4, ran, {1: [(0, NOW_MS)], 4: [(0, NOW_MS + 1_000_000)]})
    in_2, in_3 = timeline.moment(2, 10_000), timeline.moment(3, 10_000)
    assert in_2.clock == in_3.clock == "unsynchronised"
    assert in_2.bounds == (NOW_MS + 110_000, NOW_MS + 1_000_000 - 60_000)
    assert in_3.bounds == (NOW_MS + 160_000, NOW_MS + 1_000_000 - 10_000)


@pytest.mark.parametrize(("guess", "told"), [(0, 110_000), (NOW_MS + YEARS_56_MS, 1_010_000)])
def test_a_guess_is_held_within_its_bounds(guess: int, told: int) -> None:
    timeline = Timeline(2, {1: 100_000}, {1: [(0, NOW_MS)], 3: [(0, NOW_MS + 1_010_000)]})
    timeline.learn(10_000, guess, trusted=False)
    assert timeline.moment(2, 10_000).ts == NOW_MS + told


def test_a_gateway_that_never_knew_says_so_without_bounds() -> None:
    timeline = Timeline(2, {1: 9}, {})
    assert timeline.moment(1, 5) == Moment(5, "unsynchronised", (None, None))


def test_clocks_that_contradict_each_other_give_no_bounds_that_do() -> None:
    # boot 1 was 56 years ahead, boot 3 is right
    timeline = Timeline(3, {1: 100_000, 2: 50_000}, {1: [(0, NOW_MS + YEARS_56_MS)], 3: [(0, NOW_MS)]})
    told = timeline.moment(2, 10_000)
    assert told.bounds == (None, NOW_MS - 40_000)
    assert told.ts == NOW_MS - 40_000


def test_what_a_boot_learns_after_a_restart_mends_it_as_well() -> None:
    pieces: dict[int, list[tuple[int, int]]] = {}
    before = Timeline(7, {}, pieces)
    before.learn(1_000, 11_000, trusted=False)
    assert before.moment(7, 900).clock == "unsynchronised"
    after = Timeline(7, {7: 1_000}, pieces)
    assert not after.known
    after.learn(60_000, NOW_MS, trusted=True)
    assert after.moment(7, 900) == Moment(NOW_MS - 59_100, "repaired")


async def test_a_clock_that_never_stops_jumping_fills_neither_memory_nor_file(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "outbox.db"
    async with opened(path, clock, devices=("d1",)) as outbox:
        first = clock.wall - clock.mono
        for number in range(MOST_PIECES + 50):
            clock.mono, clock.wall = clock.mono + 10, clock.wall + (10_000 if number % 2 else -9_000)
            outbox.learn_time()
        outbox.keep(reading("d1", 1, clock.mono))
        await outbox.flush()
        now = outbox.timeline.moment(outbox.timeline.boot, clock.mono)
        mended = outbox.timeline.moment(outbox.timeline.boot, 0)
    assert now == Moment(clock.wall)
    assert mended == Moment(first, "repaired")
    assert ask(path, "SELECT count(*) FROM clock") == [(MOST_PIECES,)]
    async with opened(path, clock, devices=("d1",)) as outbox:
        assert outbox.timeline.moment(outbox.timeline.boot, clock.mono) == now
        assert outbox.timeline.moment(outbox.timeline.boot, 0) == mended


async def test_steps_make_nobody_older(tmp_path: Path) -> None:
    clock = FakeClock()
    path = tmp_path / "outbox.db"
    async with opened(path, clock, devices=("d1",)) as outbox:
        running = outbox.timeline.running_ms
        boot = outbox.timeline.boot
        before = running(boot, clock.mono)
        for step in (YEARS_56_MS, -2 * YEARS_56_MS, YEARS_56_MS):
            clock.wall += step
            outbox.learn_time()
            clock.wait(1_000)
        assert running(boot, clock.mono) - before == 3_000


steps = st.lists(
    st.tuples(
        st.integers(1, 100_000),  # running time until the clock is looked at again
        st.sampled_from([0, 0, 0, YEARS_56_MS, -YEARS_56_MS, 3_600_000, -3_600_000]),
        st.booleans(),  # believed
        st.booleans(),  # restarted into another boot
    ),
    min_size=1,
    max_size=30,
)


@given(steps)
def test_no_step_changes_order_or_running_age(steps: list[tuple[int, int, bool, bool]]) -> None:
    boot, mono, wall, ran = 1, 0, NOW_MS, 0
    timeline = Timeline(boot, {}, {})
    seen: list[tuple[int, int, int]] = []  # boot, mono, true running time
    for passed, step, trusted, reboot in steps:
        mono, wall, ran = mono + passed, wall + passed + step, ran + passed
        timeline.learn(mono, wall, trusted=trusted)
        seen.append((boot, mono, ran))
        if reboot:
            boot, mono = boot + 1, 0
            timeline = Timeline(boot, timeline._ran_ms, timeline._pieces)
    assert [timeline.running_ms(of, at) for of, at, _ in seen] == [ran for _, _, ran in seen]


@given(steps)
def test_a_clock_that_never_steps_is_always_right_or_bounded(
    steps: list[tuple[int, int, bool, bool]],
) -> None:
    boot, mono, wall = 1, 0, NOW_MS
    timeline = Timeline(boot, {}, {})
    seen: list[tuple[int, int, int]] = []  # boot, mono, true wall time
    for passed, _, trusted, reboot in steps:
        mono, wall = mono + passed, wall + passed
        seen.append((boot, mono, wall))
        timeline.learn(mono, wall, trusted=trusted)
        if reboot:
            boot, mono, wall = boot + 1, 0, wall + 30_000  # switched off for half a minute
            timeline = Timeline(boot, timeline._ran_ms, timeline._pieces)
    told = [(timeline.moment(of, at), true) for of, at, true in seen]
    for moment, true in told:
        if moment.clock == "unsynchronised":
            assert moment.bounds is not None
            earliest, latest = moment.bounds
            assert earliest is None or earliest <= true
            assert latest is None or true <= latest
        else:
            assert moment.ts == true
    bounded = [moment.ts for moment, _ in told if moment.bounds != (None, None)]
    assert bounded == sorted(bounded), "times run backwards"
