"""When a device is asked: on its grid while all is well, never in bursts, and less often while it fails."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.collect.schedule import Schedule


def latest() -> float:
    """Chance at its end: nothing is moved, and pauses are at their longest."""
    return 1.0


def test_answers_keep_the_grid_however_long_they_take() -> None:
    schedule = Schedule(10, 100, latest)
    for number in range(5):
        assert schedule.due == 100 + 10 * number
        schedule.went_well(schedule.due + 3)


def test_devices_that_began_together_are_spread_out_and_then_keep_their_grids() -> None:
    chance = random.Random(1)
    schedules = [Schedule(10, 100, chance.random) for _ in range(100)]
    for schedule in schedules:
        schedule.went_well(101)
    second = sorted(schedule.due for schedule in schedules)
    assert second[0] < 106
    assert second[-1] > 109
    assert max(sum(1 for due in second if at <= due < at + 0.5) for at in second) < 25
    for schedule in schedules:
        before = schedule.due
        schedule.went_well(before + 1)
        assert schedule.due == before + 10


def test_what_was_missed_is_left_out_and_the_grid_stays() -> None:
    schedule = Schedule(10, 100, latest)
    schedule.went_well(157)
    assert schedule.due == 160


@pytest.mark.parametrize(
    ("interval", "spent", "pauses"),
    [
        (1, 0, [1, 2, 4, 8, 16, 32, 64, 120, 120]),
        (1, 1, [1, 30, 60, 120, 120]),
        (1, 0.1, [1, 3, 6, 12, 24, 48, 96, 120]),
        (25, 1, [25, 50, 100, 120, 120]),
        (300, 1, [300, 300, 300]),
    ],
)
def test_a_device_that_fails_is_asked_less_and_less(
    interval: float, spent: float, pauses: list[float]
) -> None:
    schedule = Schedule(interval, 0, latest)
    found = []
    for _ in pauses:
        before = schedule.due
        schedule.failed(before, spent)
        found.append(schedule.due - before)
    assert found == pauses


def test_devices_that_fail_together_come_apart() -> None:
    chance = random.Random(2)
    schedules = [Schedule(1, 0, chance.random) for _ in range(3)]
    for _ in range(8):
        for schedule in schedules:
            schedule.failed(schedule.due, 1)
    first, second, third = sorted(schedule.due for schedule in schedules)
    assert second - first > 2
    assert third - second > 2


def test_one_answer_brings_the_full_rate_back() -> None:
    schedule = Schedule(1, 0, latest)
    for _ in range(10):
        schedule.failed(schedule.due, 1)
    before = schedule.due
    schedule.went_well(before)
    assert schedule.due == before + 1
    schedule.failed(schedule.due, 1)
    assert schedule.due == before + 2


def test_dead_devices_share_of_the_line_is_small_from_the_beginning() -> None:
    """A try costs a dead device 1 s of the line."""
    schedule, now, tries = Schedule(1, 0), 0.0, list[float]()
    while now < 3600:
        now = max(now, schedule.due) + 1
        tries.append(now)
        schedule.failed(now, 1)
    assert sum(1 for at in tries if at < 60) <= 4
    assert sum(1 for at in tries if at < 600) <= 9
    assert len(tries) / 3600 < 0.012


seconds = st.floats(0, 1e6, allow_nan=False)


@given(
    interval=st.floats(0.1, 3600),
    start=seconds,
    spent=st.floats(0, 1e4),
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.01, 1.0, 77.7, 1e5])), max_size=30),
)
def test_the_next_question_is_never_in_the_past_nor_too_far(
    interval: float, start: float, spent: float, steps: list[tuple[bool, float]]
) -> None:
    schedule, now = Schedule(interval, start), start
    for well, took in steps:
        now = max(now, schedule.due) + took
        if well:
            schedule.went_well(now)
        else:
            schedule.failed(now, spent)
        assert schedule.due >= now - 1e-6
        assert schedule.due <= now + max(interval, 120) + 1e-6
