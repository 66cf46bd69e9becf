"""The last hour of a channel, by the minute."""

from itertools import pairwise

from edge_agent.collect.sparkline import MINUTES, Sparkline
from edge_agent.text.channel_order import by_importance

MINUTE = 60_000


def test_lowest_and_highest_of_each_minute_and_gaps() -> None:
    hour = Sparkline()
    assert hour.points(0) == [None] * MINUTES
    for at, value in ((0, 5.0), (10_000, 7.0), (20_000, 6.0), (3 * MINUTE, 1.0)):
        hour.add(at, value)
    assert hour.points(3 * MINUTE + 1)[-4:] == [(5.0, 7.0), None, None, (1.0, 1.0)]
    assert hour.points(5 * MINUTE)[-4:] == [None, (1.0, 1.0), None, None]
    assert hour.points(63 * MINUTE) == [None] * MINUTES


def test_what_is_older_than_an_hour_is_gone() -> None:
    hour = Sparkline()
    for minute in range(500):
        hour.add(minute * MINUTE, float(minute))
    points = [point for point in hour.points(499 * MINUTE) if point]
    assert len(points) == MINUTES
    assert all(later[0] - earlier[0] == 1 for earlier, later in pairwise(points))
    hour.add(5_000 * MINUTE, 1.0)
    assert [point for point in hour.points(5_000 * MINUTE) if point] == [(1.0, 1.0)]


def test_what_says_most_comes_first() -> None:
    meter = ["voltage_l1", "frequency", "power_factor", "power_l1", "power", "harmonics", "energy_import"]
    assert by_importance(meter) == [
        "power", "energy_import", "power_l1", "voltage_l1", "harmonics", "power_factor", "frequency",
    ]  # fmt: skip
    assert by_importance(["battery", "signal", "humidity", "temperature"])[:2] == ["temperature", "humidity"]


def test_what_was_before_this_run_fills_what_is_empty() -> None:
    hour = Sparkline()
    hour.add(7 * MINUTE, 3.0)
    hour.fill(8 * MINUTE, {0: (9.0, 9.5), 1: (1.0, 1.0), 3: (4.0, 6.0), 59: (2.0, 2.0)})
    points = hour.points(8 * MINUTE)
    assert points[-4:] == [(4.0, 6.0), None, (3.0, 3.0), (9.0, 9.5)]
    assert points[0] == (2.0, 2.0)
    hour.add(8 * MINUTE + 1, 10.0)
    assert hour.points(8 * MINUTE + 1)[-1] == (9.0, 10.0)


def test_the_next_value_after_that_is_not_lost() -> None:
    hour = Sparkline()
    hour.fill(8 * MINUTE, {2: (4.0, 6.0)})
    hour.add(8 * MINUTE + 1, 10.0)
    assert hour.points(8 * MINUTE + 2)[-3:] == [(4.0, 6.0), None, (10.0, 10.0)]
