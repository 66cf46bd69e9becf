"""A counter that falls: what is believed, what is added, and that no energy is made up."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.processing.counter import BACK, FELL, REPLACED, Count, Counting, Counts, count
from edge_agent.reading import Grade, Quality, Reading, Value

ROLLS = Counting(rollover=1_000_000, goes_on=False)
GOES_ON = Counting(rollover=None, goes_on=True)
BEGINS_AGAIN = Counting(rollover=None, goes_on=False)
STEP_MS = 30_000


def followed(rule: Counting, *numbers: float) -> tuple[list[Value | None], list[str]]:
    """Return the totals of numbers that are read each half minute, and what was said of them."""
    counts: Counts = {}
    totals, said = [], []
    for at, number in enumerate(numbers):
        reading = Reading("m", at * STEP_MS, {"energy_import": number})
        counts, told, notes = count({"energy_import": rule}, counts, reading)
        totals.append(told.values.get("energy_import"))
        said += notes
    return totals, said


def test_a_counter_that_grows_is_passed_on_as_it_is() -> None:
    assert followed(ROLLS, 1, 2, 2, 2.5) == ([1, 2, 2, 2.5], [])


def test_a_roll_over_adds_the_range_once_the_fall_has_lasted() -> None:
    totals, said = followed(ROLLS, 999_990, 999_998, 3, 4, 5, 6)
    assert totals == [999_990, 999_998, None, None, 1_000_005, 1_000_006]
    assert said == ["energy_import fell from 999998 to 3: it rolled over, and 1000000 is added"]


def test_it_rolls_over_again() -> None:
    low, high = [3, 4, 5], [500_000, 999_999]
    totals, _ = followed(ROLLS, *high, *low, *high, *low)
    assert totals[-1] == 2_000_005


@pytest.mark.parametrize("numbers", [(500_000, 3), (999_998, 400_000), (1_000_500, 3)])
def test_by_its_size_it_is_no_roll_over(numbers: tuple[float, float]) -> None:
    before, after = numbers
    totals, said = followed(ROLLS, before, after, after, after)
    assert totals[-1] == after
    assert "replaced or reset" in said[0]


def test_the_total_of_a_new_meter_goes_on_if_that_is_asked_for() -> None:
    totals, said = followed(GOES_ON, 1042, 1043, 7, 8, 9, 10)
    assert totals == [1042, 1043, None, None, 1045, 1046], "what the new one counted since it was read first"
    assert said == ["energy_import fell from 1043 to 7: the meter was replaced or reset, and 1036 is added"]


def test_without_that_it_begins_where_the_meter_does_and_says_so() -> None:
    counts: Counts = {"e": Count(1043, added=500.0)}
    qualities = []
    for at in range(4):
        counts, told, _ = count({"e": BEGINS_AGAIN}, counts, Reading("m", at * STEP_MS, {"e": 7 + at}))
        qualities.append(told.quality.get("e"))
    assert qualities == [FELL, FELL, REPLACED, None]
    assert told.values == {"e": 10}


def test_a_meter_that_says_0_while_it_starts_adds_nothing() -> None:
    assert followed(GOES_ON, 1042, 0, 0, 1042.5, 1043) == ([1042, None, None, 1042.5, 1043], [])


def test_a_number_that_was_misread_adds_nothing() -> None:
    totals, said = followed(GOES_ON, 1042, 66_578, 1042.5, 1043)
    assert totals == [1042, 66_578, 1042.5, 1043]
    assert said == ["energy_import is 1042.5 after 1042: the 66578 between was misread"]


def test_a_meter_that_rounds_is_suspect_and_adds_nothing() -> None:
    counts: Counts = {}
    qualities = []
    for at, number in enumerate((1042.31, 1042.30, 1042.30, 1042.30, 1042.32)):
        counts, told, _ = count({"e": GOES_ON}, counts, Reading("m", at * STEP_MS, {"e": number}))
        assert told.values == {"e": number}
        qualities.append(told.quality.get("e"))
    assert qualities == [None, BACK, BACK, BACK, None]


def test_a_fall_before_a_restart_is_judged_anew_after_it() -> None:
    before: Counts = {"e": Count(1043, 0.0, 1042, fell=7)}
    after, told, _ = count({"e": GOES_ON}, before, Reading("m", 5, {"e": 8}))
    assert told.quality == {"e": FELL}
    _, told, _ = count({"e": GOES_ON}, after, Reading("m", 60_005, {"e": 9}))
    assert told.values == {"e": 1044}, "what it fell to in this run counts"


@pytest.mark.parametrize("value", ["text", True, float("nan"), float("inf")])
def test_what_is_no_number_changes_nothing(value: Value) -> None:
    counts: Counts = {"e": Count(5)}
    reading = Reading("m", 0, {"e": value, "power": 1})
    assert count({"e": GOES_ON}, counts, reading) == (counts, reading, [])


def test_what_was_suspect_stays_so() -> None:
    worse = {"e": Quality(Grade.SUSPECT, "stale")}
    _, told, _ = count({"e": GOES_ON}, {"e": Count(1000)}, Reading("m", 0, {"e": 999}, worse))
    assert told.quality == worse


METERS = st.lists(
    st.lists(st.integers(20, 50), min_size=4, max_size=12), min_size=1, max_size=5
)  # what each meter counts between readings; each begins at 0, and does not overtake the last at once


@given(METERS, st.integers(0, 3))
def test_a_total_over_meters_is_what_they_counted_between_readings(
    meters: list[list[int]], restart_each: int
) -> None:
    counts: Counts = {}
    now, known, begin = 0, [], 10_000
    counted = 0
    for number, steps in enumerate(meters):
        last = 0 if number else begin
        counted += last
        for place, step in enumerate([0, *steps]):
            last += step
            counted += step
            now += 60_000
            counts, told, _ = count({"e": GOES_ON}, counts, Reading("m", now, {"e": last}))
            if restart_each and place % (restart_each + 1) == restart_each and counts["e"].fell is None:
                counts = {"e": replace(counts["e"], fell_ms=None)}
            if "e" in told.values:
                known.append(told.values["e"])
                assert told.values["e"] == counted
            else:
                assert told.quality["e"] == FELL
    assert all(later >= earlier for earlier, later in pairwise(map(float, known)))


@given(st.lists(st.tuples(st.integers(0, 120_000), st.floats(0, 1e6)), max_size=40), st.booleans())
def test_whatever_is_read_nothing_is_added_but_what_was_read(
    steps: list[tuple[int, float]],
    goes_on: bool,  # noqa: FBT001 - the setting
) -> None:
    counts: Counts = {}
    now, falls = 0, 0.0
    before = 0.0
    for pause, number in steps:
        now += pause
        falls += max(0.0, before - number)
        before = number
        counts, told, _ = count({"e": Counting(None, goes_on)}, counts, Reading("m", now, {"e": number}))
        assert 0 <= counts["e"].added <= falls * (1 + 1e-9)
        assert told.values.keys() | told.quality.keys() == {"e"}
        assert counts["e"].added == 0 or goes_on
