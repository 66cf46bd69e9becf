"""Limits: when an alarm is raised, when it is cleared, and what neither does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.driver import Channel, Quantity
from edge_agent.processing.alarm import Standing, detail_of, judge, raised_only, same_again
from edge_agent.processing.plan import Memorable, plan_for
from edge_agent.reading import Grade, Quality, Reading, Value
from edge_agent.settings.device import Device

CHANNELS = (
    Channel("power", Quantity.POWER),
    Channel("contact", Quantity.CONTACT),
    Channel("event", Quantity.EVENT),
)


def steps(**channels: Any) -> Memorable:
    settings = {
        "driver": "d",
        "bus": "b",
        "channel": {name: {"alarm": told} for name, told in channels.items()},
    }
    memorable = plan_for(Device.model_validate(settings), CHANNELS, False).memorable
    assert memorable is not None
    return memorable


OVERLOAD = steps(power={"overload": {"above": 20_000, "hysteresis": 500, "delay": "30s"}})


def heard(made: Memorable, *values: tuple[float, str, Value | None]) -> list[tuple[float, str]]:
    """Return when what was told, of values at times in seconds. None: it was not known."""
    standing: Standing = {}
    out = []
    for at, channel, value in values:
        known = {} if value is None else {channel: value}
        standing, changes = judge(made.limits, standing, Reading("d", round(at * 1000), known))
        out += [(at, detail_of(change)) for change in changes]
    return out


def power(*values: tuple[float, float | None]) -> list[tuple[float, str]]:
    return heard(OVERLOAD, *((at, "power", value) for at, value in values))


RAISED = "power 20640 W is above 20000 W for 30 s"


def test_it_is_raised_after_the_delay_and_cleared_below_the_hysteresis() -> None:
    values = [(0, 20_100), (29.9, 20_500), (30, 20_640), (40, 19_900), (50, 19_501), (60, 19_500), (70, 1)]
    assert power(*values) == [(30, RAISED), (60, "power 19500 W is not above 20000 W any more")]


def test_what_comes_back_within_the_delay_begins_anew() -> None:
    assert power((0, 20_100), (20, 20_000), (30, 20_640), (59, 20_640), (60, 20_640)) == [(60, RAISED)]


def test_what_is_not_known_neither_raises_nor_clears() -> None:
    assert power((0, 20_100), (31, None), (32, 20_640), (40, None)) == [(32, RAISED)]


def test_below_is_the_other_way_round() -> None:
    made = steps(power={"back": {"below": -100, "hysteresis": 10}})
    values: list[tuple[float, str, Value | None]] = [
        (0, "power", -100),
        (1, "power", -101),
        (2, "power", -91),
    ]
    assert heard(made, *values, (3, "power", -90)) == [
        (1, "power -101 W is below -100 W"),
        (3, "power -90 W is not below -100 W any more"),
    ]


@pytest.mark.parametrize(("equals", "other"), [(True, False), (False, True), (2, 3), ("hold", "press")])
def test_a_state_equals(equals: Value, other: Value) -> None:
    made = steps(event={"x": {"equals": equals}})
    name = str(equals).lower()
    assert heard(
        made, (0, "event", other), (1, "event", equals), (2, "event", equals), (3, "event", other)
    ) == [
        (1, f"event is {name}"),
        (3, f"event is not {name} any more"),
    ]


def test_two_limits_of_a_channel_stand_by_themselves() -> None:
    made = steps(power={"high": {"above": 10}, "higher": {"above": 20}})
    assert [text for _, text in heard(made, (0, "power", 15), (1, "power", 25), (2, "power", 5))] == [
        "power 15 W is above 10 W",
        "power 25 W is above 20 W",
        "power 5 W is not above 10 W any more",
        "power 5 W is not above 20 W any more",
    ]


def test_a_device_that_repeats_itself_raises_when_the_delay_is_over() -> None:
    open_ = steps(contact={"left-open": {"equals": True, "delay": "5m"}})
    standing, changes = judge(open_.limits, {}, Reading("d", 0, {"contact": True}))
    assert not changes
    assert same_again(open_.limits, standing, 299_999) == (standing, [])
    standing, (change,) = same_again(open_.limits, standing, 300_000)
    assert detail_of(change) == "contact is true for 300 s"
    assert same_again(open_.limits, standing, 900_000) == (standing, [])


def test_after_silence_a_delay_begins_anew_and_an_alarm_stays() -> None:
    waiting, _ = judge(OVERLOAD.limits, {}, Reading("d", 0, {"power": 20_100}))
    assert raised_only(waiting) == {}
    raised, _ = judge(OVERLOAD.limits, waiting, Reading("d", 30_000, {"power": 20_100}))
    assert raised_only(raised) == raised


def test_text_in_a_number_is_beyond_nothing() -> None:
    assert heard(OVERLOAD, (0, "power", "err"), (60, "power", "err")) == []


SUSPECT = Quality(Grade.SUSPECT, "above_plausible")


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.none() | st.floats(19_000, 21_000)), max_size=60),
    st.sampled_from([0.0, 500.0]),
    st.sampled_from([0, 30_000]),
)
def test_it_says_what_its_definition_says(
    values: list[tuple[int, float | None]], hysteresis: float, delay_ms: int
) -> None:
    """Raised and cleared by turns; raised beyond the limit for the delay, cleared at the hysteresis."""
    limit = {"above": 20_000, "hysteresis": hysteresis, "delay": f"{delay_ms}ms"}
    made = steps(power={"x": limit})
    standing: Standing = {}
    raised, now, within_ms = False, 0, 0
    for pause, value in values:
        now += pause
        reading = Reading("d", now, {} if value is None else {"power": value}, {"power": SUSPECT})
        standing, changes = judge(made.limits, standing, reading)
        expected = raised
        if value is not None:
            if value <= 20_000:
                within_ms = now
                expected = raised and value > 20_000 - hysteresis
            else:
                since = next(iter(standing.values())).since_ms
                expected = raised or now - since >= delay_ms
                assert raised or since >= within_ms
        assert [change.raised for change in changes] == ([expected] if expected is not raised else [])
        raised = expected
        assert any(beyond.raised for beyond in standing.values()) is raised
