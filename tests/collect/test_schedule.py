"""When a device is asked: on its grid while all is well, never in bursts, and less often while it fails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.collect.schedule import Schedule


def test_answers_keep_the_grid_however_long_they_take() -> None:
    schedule = Schedule(10, 100)
    for number in range(5):
        assert schedule.due == 100 + 10 * number
        schedule.went_well(schedule.due + 3)


def test_what_was_missed_is_left_out_and_the_grid_stays() -> None:
    schedule = Schedule(10, 100)
    schedule.went_well(157)
    assert schedule.due == 160


@pytest.mark.parametrize(
    ("interval", "pauses"),
    [
        (1, [1, 2, 4, 8, 16, 32, 60, 60, 60]),
        (25, [25, 50, 60, 60]),
        (300, [300, 300, 300]),
    ],
)
def test_a_device_that_fails_is_asked_less_and_less(interval: float, pauses: list[float]) -> None:
    schedule = Schedule(interval, 0)
    found = []
    for _ in pauses:
        before = schedule.due
        schedule.failed(before)
        found.append(schedule.due - before)
    assert found == pauses


def test_one_answer_brings_the_full_rate_back() -> None:
    schedule = Schedule(1, 0)
    for _ in range(10):
        schedule.failed(schedule.due)
    before = schedule.due
    schedule.went_well(before)
    assert schedule.due == before + 1
    schedule.failed(schedule.due)
    assert schedule.due == before + 2


def test_a_dead_devices_share_of_the_line_shrinks() -> None:
    """A try costs a dead device 0.5 s; in ten minutes a living one asks 600 times."""
    schedule, now, tries = Schedule(1, 0), 0.0, 0
    while now < 600:
        now = max(now, schedule.due) + 0.5
        tries += 1
        schedule.failed(now)
    assert tries * 0.5 / 600 < 0.02


seconds = st.floats(0, 1e6, allow_nan=False)


@given(
    interval=st.floats(0.1, 3600),
    start=seconds,
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.01, 1.0, 77.7, 1e5])), max_size=30),
)
def test_the_next_question_is_never_in_the_past_nor_too_far(
    interval: float, start: float, steps: list[tuple[bool, float]]
) -> None:
    schedule, now = Schedule(interval, start), start
    for well, took in steps:
        now = max(now, schedule.due) + took
        (schedule.went_well if well else schedule.failed)(now)
        assert schedule.due >= now - 1e-6
        assert schedule.due <= now + max(interval, 60) + 1e-6
