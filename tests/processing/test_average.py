"""Averages: what a window says, what it does not, and what is passed on at once."""

from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.driver import Channel, Quantity
from edge_agent.processing.average import PARTIAL, Averaging, Window, add, ended
from edge_agent.processing.plan import plan_for
from edge_agent.reading import Grade, Quality, Reading, Value
from edge_agent.settings.device import Device

CHANNELS = (
    Channel("power", Quantity.POWER),
    Channel("energy_import", Quantity.ENERGY_IMPORT),
    Channel("count", Quantity.COUNT),
    Channel("occupancy", Quantity.OCCUPANCY),
    Channel("target_state", Quantity.TARGET_STATE),
)
UNKNOWN, ABOVE = Quality(Grade.BAD, "unknown"), Quality(Grade.SUSPECT, "above_plausible")
BEGIN = 600_000  # of a window of a minute


def rule(**told: Any) -> Averaging:
    settings = {"driver": "d", "bus": "b", "interval": "10s", "average": "1m", **told}
    memorable = plan_for(Device.model_validate(settings), CHANNELS, False).memorable
    assert memorable is not None
    assert memorable.average is not None
    return memorable.average


MINUTE = rule(channel={"count": {"counter": {}}})


def heard(*readings: Reading, window: Window | None = None) -> tuple[Window | None, list[Reading]]:
    out: list[Reading] = []
    for reading in readings:
        window, more = add(MINUTE, window, reading)
        out += more
    return window, out


def at(second: float, quality: dict[str, Quality] | None = None, **values: Value) -> Reading:
    return Reading("m", BEGIN + round(1000 * second), values, quality or {})


def each(values: list[float], begin: float = 0) -> list[Reading]:
    """Readings each ten seconds, from the middle of the first ten on."""
    return [at(begin + 5 + 10 * place, power=value) for place, value in enumerate(values)]


BEFORE = Window(BEGIN, BEGIN - 5_000, whole=True)  # the window before, in which nothing was said


def test_only_gauges_have_a_mean() -> None:
    assert MINUTE.means == {"power": ("power_min", "power_max")}
    assert MINUTE.states == {"occupancy"}


def test_a_whole_window_has_mean_lowest_and_highest_at_its_end() -> None:
    _, (made,) = heard(*each([1, 2, 3, 4, 5, 9]), at(65, power=100), window=BEFORE)
    assert made == Reading("m", BEGIN + 60_000, {"power": 4, "power_min": 1, "power_max": 9})


def test_a_counter_has_its_last_value() -> None:
    readings = [at(5 + 10 * place, energy_import=place, count=place, power=0) for place in range(7)]
    _, (made,) = heard(*readings, window=BEFORE)
    assert made.values == {"energy_import": 5, "count": 5, "power": 0, "power_min": 0, "power_max": 0}


def test_a_counter_that_is_not_known_any_more_is_not() -> None:
    readings = [at(5, energy_import=1), at(15, {"energy_import": UNKNOWN}), at(65, energy_import=2)]
    _, (made,) = heard(*readings, window=BEFORE)
    assert made == Reading("m", BEGIN + 60_000, {}, {"energy_import": UNKNOWN})


def test_a_change_of_a_state_is_passed_on_at_once_by_itself() -> None:
    states = [False, False, True, True, True, False]
    readings = [
        at(5 + 10 * place, occupancy=state, power=1, target_state=place) for place, state in enumerate(states)
    ]
    window, out = heard(*readings)
    assert [(made.mono_ms - BEGIN, dict(made.values)) for made in out] == [
        (5_000, {"occupancy": False}),
        (25_000, {"occupancy": True}),
        (55_000, {"occupancy": False}),
    ]
    _, (made,) = heard(at(65, occupancy=False, power=1), window=window)
    assert made.values["occupancy"] is False
    assert made.values["target_state"] == 5


def test_a_state_that_is_not_known_any_more_is_a_change() -> None:
    _, out = heard(at(5, occupancy=True), at(6, {"occupancy": UNKNOWN}), at(7, {"occupancy": UNKNOWN}))
    assert [(dict(made.values), dict(made.quality)) for made in out] == [
        ({"occupancy": True}, {}),
        ({}, {"occupancy": UNKNOWN}),
    ]


PARTLY = dict.fromkeys(("power", "power_min", "power_max"), PARTIAL)


def test_the_first_window_after_a_start_is_partial_wherever_it_began() -> None:
    _, made = heard(*each([1, 2, 3, 4, 5, 6, 7]))
    assert [one.quality for one in made] == [PARTLY]


def test_a_window_cut_by_a_stop_is_partial_and_ends_when_it_was_cut() -> None:
    window, _ = heard(*each([1, 2]), window=BEFORE)
    assert window is not None
    (made,) = ended(MINUTE, window, "m", BEGIN + 20_000)
    assert made == Reading("m", BEGIN + 20_000, {"power": 1.5, "power_min": 1, "power_max": 2}, PARTLY)


@pytest.mark.parametrize("seconds", [(35, 45, 55), (5, 15, 50), (5, 15, 25), (5, 55)])
def test_a_window_in_which_the_device_was_silent_is_partial(seconds: tuple[int, ...]) -> None:
    readings = [at(second, power=1) for second in seconds]
    _, (made,) = heard(*readings, at(65, power=1), window=BEFORE)
    assert made.quality == PARTLY
    assert made.values == {"power": 1, "power_min": 1, "power_max": 1}


def test_a_lost_answer_or_two_leave_a_window_whole() -> None:
    readings = [at(second, power=1) for second in (5, 15, 45, 55, 65)]
    _, (made,) = heard(*readings, window=BEFORE)
    assert made.quality == {}


def test_windows_in_which_nothing_was_heard_make_no_reading() -> None:
    _, made = heard(*each([1, 2, 3, 4, 5, 6]), at(600, power=7), at(660, power=8), window=BEFORE)
    assert [one.mono_ms - BEGIN for one in made] == [60_000, 660_000]
    assert [one.quality for one in made] == [{}, PARTLY]


def test_the_end_of_a_hold_is_no_sign_of_life() -> None:
    readings = [at(5, power=1), at(15, occupancy=False), at(30, occupancy=True), at(45, occupancy=False)]
    _, out = heard(*readings, at(55, power=1), at(65, power=1), window=BEFORE)
    assert out[-1].quality == PARTLY


def test_the_quality_is_the_worst_that_came_with_a_value() -> None:
    readings = each([1, 2, 3, 4, 5, 6])
    readings[2] = readings[2]._replace(quality={"power": ABOVE})
    readings[3] = at(35, {"power": UNKNOWN})
    _, (made,) = heard(*readings, at(65, power=1), window=BEFORE)
    assert made.quality == dict.fromkeys(PARTLY, ABOVE)
    assert made.values == {"power": 3.4, "power_min": 1, "power_max": 6}


def test_a_part_that_is_not_known_makes_it_partial_and_all_of_it_not_known() -> None:
    _, (made,) = heard(*each([1, 2, 3, 4, 5]), at(55, {"power": UNKNOWN}), at(65, power=1), window=BEFORE)
    assert made.quality == PARTLY
    unknown = [at(5 + 10 * place, {"power": UNKNOWN}) for place in range(7)]
    _, (made,) = heard(*unknown, window=BEFORE)
    assert made == Reading("m", BEGIN + 60_000, {}, dict.fromkeys(PARTLY, UNKNOWN))


VALUES = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(
        st.tuples(st.integers(0, 90_000), VALUES, st.sampled_from([None, ABOVE])), min_size=1, max_size=60
    )
)
def test_each_value_is_in_one_window_and_none_is_made_up(
    steps: list[tuple[int, float, Quality | None]],
) -> None:
    now, window = 0, None
    given_values: dict[int, list[float]] = {}
    suspect: set[int] = set()
    made: list[Reading] = []
    for pause, value, quality in steps:
        now += pause
        end = now - now % 60_000 + 60_000
        given_values.setdefault(end, []).append(value)
        if quality:
            suspect.add(end)
        reading = Reading("m", now, {"power": value}, {"power": quality} if quality else {})
        window, out = add(MINUTE, window, reading)
        made += out
    assert window is not None
    made += ended(MINUTE, window, "m", window.end_ms)
    assert [one.mono_ms for one in made] == sorted(given_values)
    for one in made:
        values, mean = given_values[one.mono_ms], float(one.values["power"])
        assert (one.values["power_min"], one.values["power_max"]) == (min(values), max(values))
        largest = max(map(abs, values))
        assert min(values) <= mean <= max(values)
        if largest < 1e300:
            assert mean == pytest.approx(fmean(values), rel=1e-9, abs=1e-9 * largest)
        assert (one.mono_ms not in suspect) or one.quality["power"] == ABOVE
