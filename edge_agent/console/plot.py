"""What a plot of one channel consists of: lines, ticks and marks, for a template to draw as SVG. Pure.

Within each step of time the lowest and the highest value span a band, so that no peak is lost. Where nothing
was read there is nothing: no line leads over a gap.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent.console import sparks
from edge_agent.downsampling import Span, runs
from edge_agent.text import formatting

WIDTH, HEIGHT = 640, 150
"""Of the picture, in its own units."""
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 8, 24
"""What its edges leave for words."""

_HOUR = 3_600_000
_STEPS = {_HOUR: timedelta(minutes=10), 24 * _HOUR: timedelta(hours=4), 168 * _HOUR: timedelta(days=1)}
_MOST_TICKS = 4


@dataclass(frozen=True, slots=True)
class Mark:
    """What is told of one step of time: where it is, and in words. ``doubt``: not all of it was good."""

    x: float
    width: float
    at: str
    value: str
    low: str
    high: str
    doubt: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """One channel. ``lines`` and ``bands`` are SVG paths, one for each run without a gap; ``spark`` is one.

    ``down`` and ``along`` are ticks: where, and what stands there.
    """

    channel: str
    unit: str
    spark: str
    lines: tuple[str, ...]
    bands: tuple[str, ...]
    marks: tuple[Mark, ...]
    down: tuple[tuple[float, str], ...]
    along: tuple[tuple[float, str], ...]
    told: str

    @property
    def told_marks(self) -> str:
        """The marks as a script reads them: ``x|at|value|lowest|highest|doubt``, with ``;`` in between."""
        return ";".join(
            f"{mark.x}|{mark.at}|{mark.value}|{mark.low}|{mark.high}|{'?' if mark.doubt else ''}"
            for mark in self.marks
        )


def plots(past: Mapping[str, Any]) -> list[Plot]:
    """Make a plot for each channel of what the verb ``past`` answers."""
    return [
        _plot(past, channel, str(found["unit"]), [Span(*span) for span in found["spans"]])
        for channel, found in past["channels"].items()
        if found["spans"]
    ]


def _plot(past: Mapping[str, Any], channel: str, unit: str, spans: Sequence[Span]) -> Plot:
    from_ms, to_ms, zone = int(past["from_ms"]), int(past["to_ms"]), ZoneInfo(past["timezone"])
    levels = _levels(min(span.low for span in spans), max(span.high for span in spans))
    low, high = levels[0], levels[-1]

    def across(ms: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (ms - from_ms) / (to_ms - from_ms), 1)

    def down(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    lines, bands = [], []
    whole = runs(list(spans), past["gap_ms"])
    for run in whole:
        lines.append("M" + "L".join(f"{across(span.last)} {down(span.value)}" for span in run))
        above = [f"{across(span.last)} {down(span.high)}" for span in run]
        below = [f"{across(span.last)} {down(span.low)}" for span in reversed(run)]
        if len(run) == 1:  # a line of no length is not seen
            lines[-1] += "h1.5"
        bands.append("M" + "L".join(above + below) + "Z")
    marks = []
    for span in spans:
        x = across(span.first)
        marks.append(_mark(span, x, max(2.0, round(across(span.last) - x, 1)), zone))
    least, most = min(span.low for span in spans), max(span.high for span in spans)
    share = [
        [((span.last - from_ms) / (to_ms - from_ms), span.low, span.high) for span in run] for run in whole
    ]
    return Plot(
        channel,
        formatting.unit(unit),
        sparks.drawn(share, least, most) if len(spans) > 1 else "",
        tuple(lines),
        tuple(bands),
        tuple(marks),
        tuple((down(level), formatting.value(level)) for level in levels),
        tuple((across(ms), text) for ms, text in _times(from_ms, to_ms, zone)),
        f"{formatting.with_unit(least, unit)} … {formatting.with_unit(most, unit)}",
    )


def _mark(span: Span, x: float, width: float, zone: ZoneInfo) -> Mark:
    at = datetime.fromtimestamp(span.last / 1000, zone)
    value, low, high = (formatting.value(float(one)) for one in (span.value, span.low, span.high))
    return Mark(x, width, f"{at:%m-%d %H:%M:%S}", value, low, high, span.doubt)


def _levels(low: float, high: float) -> list[float]:
    """Return round numbers below, between and above two values."""
    if low == high:
        around = max(0.5, abs(low) / 20)
        low, high = low - around, high + around
    rough = (high - low) / _MOST_TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 9) for number in range(first, last + 1)]


def _times(from_ms: int, to_ms: int, zone: ZoneInfo) -> list[tuple[int, str]]:
    """Return round times of the site, and how they are written."""
    step = _STEPS[to_ms - from_ms]
    at = datetime.fromtimestamp(from_ms / 1000, zone).replace(minute=0, second=0, microsecond=0)
    if step >= timedelta(hours=4):
        at = at.replace(hour=0)
    found = []
    while (ms := round(at.timestamp() * 1000)) <= to_ms:
        if ms >= from_ms:
            found.append((ms, f"{at:%m-%d}" if step >= timedelta(days=1) else f"{at:%H:%M}"))
        at += step  # the site's own time: across a change of its clock, too
    return found
