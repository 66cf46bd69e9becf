"""What a plot is drawn from."""

from typing import Any

import pytest

from edge_agent.console.plot import HEIGHT, LEFT, WIDTH, plots

HOUR = 3_600_000
FROM = 1_795_366_800_000  # 2026-11-22 17:00 UTC, in Shanghai 01:00 of the day after


def past(spans: list[list[object]], length: int = HOUR, zone: str = "UTC") -> dict[str, Any]:
    channels = {"temperature": {"unit": "Cel", "spans": spans}}
    return {
        "from_ms": FROM,
        "to_ms": FROM + length,
        "gap_ms": 60_000,
        "timezone": zone,
        "channels": channels,
    }


def test_a_gap_is_one_and_a_peak_is_told() -> None:
    (plot,) = plots(
        past(
            [
                [FROM, FROM + 10_000, 20.0, 95.5, 21.0, False],
                [FROM + 20_000, FROM + 30_000, 20.0, 22.0, 22.0, True],
                [FROM + HOUR, FROM + HOUR, 20.0, 20.0, 20.0, False],
            ]
        )
    )
    assert len(plot.lines) == 2
    assert plot.lines[0].count("L") == 1
    assert plot.told == "20 °C … 95.5 °C"
    first = plot.marks[0]
    assert (first.at, first.value, first.low, first.high) == ("11-22 17:00:10", "21", "20", "95.5")
    assert plot.told_marks.split(";")[1].endswith("|11-22 17:00:30|22|20|22|?")
    assert plot.spark.count("M") == 2
    assert [mark.doubt for mark in plot.marks] == [False, True, False]
    assert LEFT <= plot.marks[0].x < plot.marks[1].x < plot.marks[2].x <= WIDTH


@pytest.mark.parametrize("value", [0.0, 1.0, -40.0, 1e-9, 123456.789, 1e12, 5e-324, 1e38, 1e17], ids=str)
def test_one_value_alone_is_drawn(value: float) -> None:
    (plot,) = plots(past([[FROM, FROM, value, value, value, False]]))
    assert all(0 <= y <= HEIGHT for y, _ in plot.down)
    assert 2 <= len(plot.down) <= 7


@pytest.mark.parametrize(
    ("length", "first", "count"), [(HOUR, "01:00", 7), (24 * HOUR, "04:00", 6), (168 * HOUR, "11-24", 7)]
)
def test_ticks_are_round_times_of_the_site(length: int, first: str, count: int) -> None:
    (plot,) = plots(past([[FROM, FROM, 1.0, 1.0, 1.0, False]], length, "Asia/Shanghai"))
    assert (plot.along[0][1], len(plot.along)) == (first, count)
