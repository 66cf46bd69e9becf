"""The steps between a reading's birth and its keeping, as pure functions."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.driver import Channel, Quantity
from edge_agent.processing.plan import Plan, plan_for
from edge_agent.processing.step import Memory, step
from edge_agent.reading import Grade, Quality, Reading, Value
from edge_agent.settings.device import Device

CHANNELS = (
    Channel("temperature", Quantity.TEMPERATURE),
    Channel("power", Quantity.POWER),
    Channel("occupancy", Quantity.OCCUPANCY),
    Channel("target_state", Quantity.TARGET_STATE),
    Channel("energy_import", Quantity.ENERGY_IMPORT),
)
ABOVE, BELOW = Quality(Grade.SUSPECT, "above_plausible"), Quality(Grade.SUSPECT, "below_plausible")
UNKNOWN, NO_NUMBER = Quality(Grade.BAD, "unknown"), Quality(Grade.BAD, "not_a_number")


def plan(*, talker: bool = False, **told: Any) -> Plan:
    return plan_for(Device.model_validate({"driver": "d", "bus": "b", **told}), CHANNELS, talker)


def read(at: float = 0, quality: dict[str, Quality] | None = None, **values: Value) -> Reading:
    return Reading("d", round(at * 1000), values, quality or {})


def judged(steps: Plan, reading: Reading) -> Reading:
    _, passed = step(steps, Memory(), reading)
    assert passed is not None
    return passed


def passed(steps: Plan, *readings: Reading) -> list[Reading]:
    memory, out = Memory(), []
    for reading in readings:
        memory, kept = step(steps, memory, reading)
        out += [kept] if kept else []
    return out


def times(steps: Plan, *readings: Reading) -> list[float]:
    return [reading.mono_ms / 1000 for reading in passed(steps, *readings)]


def test_a_good_reading_is_passed_on_as_it_is() -> None:
    reading = read(temperature=21.5, power=3, occupancy=True, target_state=2, unheard_of="text")
    memory, kept = step(plan(), Memory(), reading)
    assert kept is reading
    assert memory == Memory()


def test_a_line_calibrates() -> None:
    steps = plan(channel={"temperature": {"calibrate": {"scale": 2, "offset": 0.1}}})
    assert judged(steps, read(temperature=0.1, power=1)).values == {"temperature": 0.3, "power": 1}


def test_points_calibrate_between_and_beyond() -> None:
    steps = plan(channel={"power": {"calibrate": {"points": [[0, 10], [10, 20], [20, 40]]}}})
    found = [judged(steps, read(power=value)).values["power"] for value in (-5, 0, 5, 10, 15, 20, 25)]
    assert found == [5, 10, 15, 20, 30, 40, 50]


def test_only_numbers_are_calibrated() -> None:
    steps = plan(channel={"power": {"calibrate": {"offset": 1}}})
    for value in ("off", True):
        assert judged(steps, read(power=value)).values["power"] is value
    assert judged(steps, read(temperature=1)).values == {"temperature": 1}


@pytest.mark.parametrize(("value", "quality"), [(-61, BELOW), (-60, None), (150, None), (150.1, ABOVE)])
def test_a_quantity_has_its_bounds(value: float, quality: Quality | None) -> None:
    reading = judged(plan(), read(temperature=value, power=1))
    assert reading.values == {"temperature": value, "power": 1}
    assert reading.quality.get("temperature") == quality
    assert "power" not in reading.quality


def test_a_channel_may_have_bounds_of_its_own_and_is_judged_after_calibration() -> None:
    steps = plan(channel={"temperature": {"plausible": [0, math.inf], "calibrate": {"offset": -10}}})
    assert judged(steps, read(temperature=1000)).quality == {}
    assert judged(steps, read(temperature=5)).quality == {"temperature": BELOW}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("told", [{}, {"plausible": [-math.inf, math.inf]}, {"calibrate": {"offset": 1}}])
def test_what_is_not_a_number_is_absent_and_bad(value: float, told: dict[str, Any]) -> None:
    reading = judged(plan(channel={"energy_import": told}), read(energy_import=value, power=1))
    assert reading.values == {"power": 1}
    assert reading.quality == {"energy_import": NO_NUMBER}


def test_quality_is_lowered_and_never_raised() -> None:
    stale, worse = Quality(Grade.SUSPECT, "stale"), Quality(Grade.BAD, "checksum")
    given_quality = {"temperature": stale, "power": worse, "energy_import": stale, "occupancy": UNKNOWN}
    reading = judged(plan(), read(0, given_quality, temperature=999, power=math.nan, energy_import=math.nan))
    assert reading.quality == {
        "temperature": stale,
        "power": worse,
        "energy_import": NO_NUMBER,
        "occupancy": UNKNOWN,
    }
    assert reading.values == {"temperature": 999}


def test_an_answerer_passes_everything_on() -> None:
    assert times(plan(), *(read(at, power=1) for at in range(5))) == [0, 1, 2, 3, 4]


def test_a_talker_passes_on_once_per_interval_and_states_at_once() -> None:
    steps = plan(talker=True, interval="10s")
    calm = [read(at / 10, power=at, occupancy=False, target_state=0) for at in range(250)]
    assert times(steps, *calm) == [0, 10, 20]
    lively = [read(at, power=1, occupancy=at >= 3, target_state=0) for at in range(9)]
    assert times(steps, *lively) == [0, 3]


def test_a_restless_state_starts_a_reading_only_where_its_own_report_says_so() -> None:
    fidgets = [read(at / 10, occupancy=True, target_state=2 + at % 2) for at in range(300)]
    calm: Any = {"talker": True, "interval": "10s"}
    assert times(plan(**calm), *fidgets) == [0, 10, 20]
    assert times(plan(**calm, report={"change": 1, "silence": "10s"}), *fidgets) == [0, 10, 20]
    told = plan(**calm, channel={"target_state": {"report": {"change": 1}}})
    assert len(times(told, *fidgets)) == 300


def test_a_number_is_reported_when_it_moved_far_enough_from_what_was_reported() -> None:
    steps = plan(channel={"power": {"report": {"change": 5}}})
    values = [100, 104, 96, 105, 109, 111, 100]
    assert [
        reading.values["power"]
        for reading in passed(steps, *(read(at, power=v) for at, v in enumerate(values)))
    ] == [100, 105, 111, 100]


def test_a_number_is_reported_when_it_moved_by_a_share_of_what_was_reported() -> None:
    steps = plan(report={"percent": 10})
    values = [0, 0, 1, 1.09, 1.1, 1.1, -1.1, -1.15]
    assert [
        reading.values["power"]
        for reading in passed(steps, *(read(at, power=v) for at, v in enumerate(values)))
    ] == [0, 1, 1.1, -1.1]


def test_either_of_change_and_percent_is_enough_and_a_channel_overrides_its_device() -> None:
    steps = plan(report={"change": 5, "percent": 50}, channel={"temperature": {"report": {"change": 0.5}}})
    assert times(steps, read(0, power=100), read(1, power=104), read(2, power=105)) == [0, 2]
    assert times(steps, read(0, power=2), read(1, power=2.5), read(2, power=3)) == [0, 2]
    assert times(steps, read(0, temperature=20), read(1, temperature=20.4), read(2, temperature=20.5)) == [
        0,
        2,
    ]


def test_what_has_no_report_of_its_own_starts_nothing_and_is_carried_along() -> None:
    steps = plan(channel={"power": {"report": {"change": 5}}})
    assert passed(
        steps,
        read(0, power=1, temperature=1),
        read(1, power=1, temperature=9),
        read(2, power=6, temperature=9),
    ) == [
        read(0, power=1, temperature=1),
        read(2, power=6, temperature=9),
    ]


def test_a_change_of_quality_is_reported() -> None:
    steps = plan(report={"change": 5})
    found = times(
        steps,
        read(0, power=1),
        read(1, {"power": UNKNOWN}),
        read(2, {"power": UNKNOWN}),
        read(3, power=1),
        read(4, power=1),
        read(5, power=1, temperature=149),
        read(6, power=1, temperature=151),
    )
    assert found == [0, 1, 3, 5, 6]


def test_a_channel_that_is_not_reported_is_no_change() -> None:
    steps = plan(report={"change": 5})
    assert times(
        steps, read(0, power=1, temperature=1), read(1, power=1), read(2, power=1, temperature=1)
    ) == [0]


def test_any_other_text_or_kind_of_value_is_a_change() -> None:
    steps = plan(report={"change": 5})
    values: list[Value] = ["on", "on", "off", 1, 2]
    assert times(steps, *(read(at, power=value) for at, value in enumerate(values))) == [0, 2, 3]


def test_silence_ends() -> None:
    steps = plan(interval="1s", channel={"power": {"report": {"silence": "10s"}}})
    assert times(steps, *(read(at + 0.01 * (at % 2), power=at) for at in range(25))) == [0, 10, 20]


def test_the_shortest_silence_counts_and_a_device_may_lengthen_a_talkers() -> None:
    each_second = [read(at, power=1) for at in range(41)]
    assert times(plan(talker=True, report={"silence": "20s"}), *each_second) == [0, 20, 40]
    both = plan(talker=True, report={"silence": "20s"}, channel={"power": {"report": {"silence": "15s"}}})
    assert times(both, *each_second) == [0, 15, 30]


def test_memory_is_bounded_by_the_channels_of_the_device() -> None:
    steps, memory = plan(talker=True), Memory()
    for at in range(500):
        unheard = {f"x{at}": at, "temperature": 21.5}
        memory, _ = step(steps, memory, Reading("d", at * 1000, unheard, {f"y{at}": UNKNOWN}))
    assert memory.values.keys() == {"temperature"}
    assert not memory.quality


NAMES = st.sampled_from([channel.name for channel in CHANNELS] + ["unheard_of"])
NUMBERS = st.floats() | st.integers(-(2**63), 2**64)
QUALITIES = st.builds(Quality, st.sampled_from(Grade), st.sampled_from(["unknown", "stale"]))
READINGS = st.builds(
    Reading,
    st.just("d"),
    st.integers(0, 100_000),
    st.dictionaries(NAMES, NUMBERS | st.booleans() | st.text(max_size=2)),
    st.dictionaries(NAMES, QUALITIES),
)
PLANS = st.sampled_from(
    [
        plan(),
        plan(talker=True),
        plan(report={"change": 1, "percent": 1, "silence": "30s"}),
        plan(channel={"power": {"calibrate": {"points": [[-5, 0], [3, 1e300]]}, "plausible": [0, 10]}}),
        plan(
            channel={"energy_import": {"calibrate": {"scale": -1e200, "offset": 3}, "report": {"percent": 5}}}
        ),
    ]
)
RANK = {None: 0, Grade.SUSPECT: 1, Grade.BAD: 2}


def grade(reading: Reading, name: str) -> int:
    return RANK[reading.quality[name].grade if name in reading.quality else None]


@given(PLANS, st.lists(READINGS, max_size=8))
def test_quality_is_never_raised_and_no_channel_invented_or_lost(
    steps: Plan, readings: list[Reading]
) -> None:
    memory = Memory()
    for reading in readings:
        memory, kept = step(steps, memory, reading)
        assert memory.values.keys() | memory.quality.keys() <= steps.bounds.keys()
        if kept is None:
            continue
        seen = reading.values.keys() | reading.quality.keys()
        assert kept.values.keys() | kept.quality.keys() == seen
        assert all(grade(kept, name) >= grade(reading, name) for name in seen)
        for name, value in kept.values.items():
            assert name not in steps.bounds or isinstance(value, str) or math.isfinite(value)
        for name in reading.values.keys() - kept.values.keys():
            assert kept.quality[name].grade is Grade.BAD


POINT = st.tuples(st.integers(-10_000, 10_000), st.integers(-10_000, 10_000))


@given(st.lists(POINT, min_size=2, max_size=8), st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_rising_points_keep_the_order_of_values(points: list[tuple[int, int]], values: list[float]) -> None:
    measured, true = sorted({point[0] for point in points}), sorted(point[1] for point in points)
    if len(measured) < 2:
        return
    pairs = list(zip(measured, true, strict=False))
    steps = plan(channel={"power": {"calibrate": {"points": pairs}}})
    found = [judged(steps, read(power=value)).values["power"] for value in sorted(values)]
    tolerance = 1e-9 * max(abs(float(value)) for value in found)  # twelve digits are kept
    assert all(float(later) >= float(earlier) - tolerance for earlier, later in pairwise(found))
    assert [judged(steps, read(power=at)).values["power"] for at, _ in pairs] == [
        pytest.approx(to) for _, to in pairs
    ]


@given(PLANS, st.lists(READINGS, min_size=1, max_size=10))
def test_the_first_reading_and_the_one_after_silence_are_passed_on(
    steps: Plan, readings: list[Reading]
) -> None:
    memory = Memory()
    for at, reading in enumerate(readings):
        before = memory
        late = Reading("d", at * 31_000, reading.values, reading.quality)
        memory, kept = step(steps, memory, late)
        rule = steps.on_change
        if rule is None or before.passed_ms is None or late.mono_ms - before.passed_ms >= rule.silence_ms:
            assert kept is not None
        if kept is None:
            assert memory is before


@given(PLANS, READINGS)
def test_the_same_again_tells_nothing_where_changes_are_asked_for(steps: Plan, reading: Reading) -> None:
    memory, first = step(steps, Memory(), reading)
    again, second = step(steps, memory, reading)
    assert first is not None
    assert (second is None) == (steps.on_change is not None)
    assert again is memory
