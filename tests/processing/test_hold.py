"""Holding a state: what is passed on while it is held, and what a tick may say."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.driver import Channel, Quantity
from edge_agent.processing.hold import Holds, hold, next_due, tick
from edge_agent.processing.plan import plan_for
from edge_agent.reading import Grade, Quality, Reading, Value
from edge_agent.settings.device import Device

CHANNELS = (Channel("occupancy", Quantity.OCCUPANCY), Channel("motion", Quantity.MOTION))
UNKNOWN = Quality(Grade.BAD, "unknown")


def plan(**held: str) -> Any:
    channel = {name: {"hold": length} for name, length in held.items()}
    return plan_for(Device.model_validate({"driver": "d", "bus": "b", "channel": channel}), CHANNELS, True)


THIRTY = plan(occupancy="30s")


def read(at: float, **values: Value) -> Reading:
    return Reading("d", round(at * 1000), values, {})


def held(*readings: Reading) -> tuple[Holds, list[Value | None]]:
    holds: Holds = {}
    said = []
    for reading in readings:
        holds, told = hold(THIRTY, holds, reading)
        said.append(told.values.get("occupancy"))
    return holds, said


def test_it_stays_true_until_so_long_after_it_was_last_true() -> None:
    times = [(0, False), (1, True), (2, False), (5, True), (6, False), (34.9, False), (35, False)]
    _, said = held(*(read(at, occupancy=value) for at, value in times))
    assert said == [False, True, True, True, True, True, False]


def test_a_tick_ends_it_once_when_it_is_due() -> None:
    holds, _ = held(read(1, occupancy=True), read(2, occupancy=False))
    assert next_due(holds) == 31_000
    assert tick(holds, 30_999) == (holds, {})
    holds, ended = tick(holds, 31_000)
    assert ended == {"occupancy": False}
    assert (holds, next_due(holds)) == ({}, None)


def test_a_device_that_falls_silent_while_it_says_true_is_not_taken_for_false() -> None:
    holds, _ = held(read(1, occupancy=True))
    assert next_due(holds) is None
    assert tick(holds, 10**9)[1] == {}


def test_what_is_not_known_is_not_held_and_ends_no_hold() -> None:
    holds, _ = held(read(1, occupancy=True), read(2, occupancy=False))
    holds, told = hold(THIRTY, holds, Reading("d", 3000, {}, {"occupancy": UNKNOWN}))
    assert told == Reading("d", 3000, {}, {"occupancy": UNKNOWN})
    assert next_due(holds) is None
    holds, told = hold(THIRTY, holds, read(4, occupancy=False))
    assert told.values == {"occupancy": True}
    assert next_due(holds) == 31_000


def test_a_frame_without_the_channel_changes_nothing() -> None:
    holds, _ = held(read(1, occupancy=True), read(2, occupancy=False))
    after, told = hold(THIRTY, holds, read(40, motion=True))
    assert after == holds
    assert told.values == {"motion": True}


def test_after_a_restart_the_first_frame_counts_as_it_is() -> None:
    _, said = held(read(1, occupancy=False))
    assert said == [False]


def test_a_number_is_held_as_the_number_it_was() -> None:
    holds, said = held(read(1, occupancy=1), read(2, occupancy=0))
    assert [(type(value), value) for value in said] == [(int, 1), (int, 1)]
    assert tick(holds, 31_000)[1] == {"occupancy": 0}


def test_the_earliest_hold_is_due_first() -> None:
    both = plan(occupancy="30s", motion="5s")
    holds, _ = hold(both, {}, read(0, occupancy=True, motion=True))
    holds, _ = hold(both, holds, read(1, occupancy=False, motion=False))
    assert next_due(holds) == 5000
    holds, ended = tick(holds, 5000)
    assert (ended, next_due(holds)) == ({"motion": False}, 30_000)


@pytest.mark.parametrize("channel", ["occupancy", "motion"])
def test_only_channels_with_a_hold_are_held(channel: str) -> None:
    assert plan(**{channel: "1s"}).holds == {channel: 1000}
    assert plan().holds == {}


STEPS = st.lists(st.tuples(st.integers(1, 20_000), st.sampled_from([True, False, None])), max_size=40)


def heard(now: int, value: bool | None) -> Reading:  # noqa: FBT001 - what was heard
    if value is None:
        return Reading("d", now, {}, {"occupancy": UNKNOWN})
    return Reading("d", now, {"occupancy": value}, {})


@pytest.mark.parametrize("ticks", ["ticking", "without ticks"])
@given(steps=STEPS)
def test_it_says_what_its_definition_says_with_ticks_or_without(
    ticks: str, steps: list[tuple[int, bool | None]]
) -> None:
    """True while the last true is younger than the hold, else what was heard; ticks change no reading."""
    holds: Holds = {}
    now, last_true, last, told_last = 0, None, None, None
    for pause, value in steps:
        until = now + pause
        while ticks == "ticking" and (due := next_due(holds)) is not None and due <= until:
            holds, ended = tick(holds, due)
            assert ended == {"occupancy": False}
            assert last is False
            assert last_true is not None
            assert due == last_true + 30_000
            assert told_last is True
            told_last = False
        now = until
        reading = heard(now, value)
        holds, told = hold(THIRTY, holds, reading)
        last, last_true = value, now if value else last_true
        if value is None:
            assert told == reading
            continue
        told_last = told.values["occupancy"]
        assert told_last is (last_true is not None and now < last_true + 30_000)
        assert told._replace(values=reading.values) == reading
        assert len(holds) <= 1


@given(STEPS)
def test_a_tick_is_due_in_the_future_and_never_comes_nearer(
    steps: list[tuple[int, bool | None]],
) -> None:
    holds: Holds = {}
    now, dues = 0, []
    for pause, value in steps:
        now += pause
        holds, _ = tick(holds, now)
        holds, _ = hold(THIRTY, holds, heard(now, value))
        due = next_due(holds)
        assert due is None or due > now
        dues += [due] if due is not None else []
    assert all(later >= earlier for earlier, later in pairwise(dues))
