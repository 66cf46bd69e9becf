"""Downsample readings to what a plot can show: the lowest and the highest value of each span stay. Pure."""

from typing import Any, NamedTuple


class Span(NamedTuple):
    """What a channel was in one span of time. Times in ms; ``doubt``: some value in it was not good.

    ``first`` and ``last`` are when its first and its last reading were made, so that a gap stays one.
    ``value`` is the last.
    """

    first: int
    last: int
    low: float
    high: float
    value: float
    doubt: bool


_FIRST, _LAST, _LOW, _HIGH, _VALUE, _DOUBT = range(6)


class Downsampler:
    """Takes the values of one channel in any order, between two times, and holds at most ``most`` spans."""

    def __init__(self, from_ms: int, to_ms: int, most: int) -> None:
        self._from, self._to, self._most = from_ms, to_ms, most
        self._spans: dict[int, list[Any]] = {}  # as a Span, which could not be changed

    def add(self, ts: int, value: float, *, doubt: bool) -> None:
        """Take a value; one from another time is left out."""
        if not self._from <= ts <= self._to:
            return
        at = min(self._most - 1, (ts - self._from) * self._most // max(1, self._to - self._from))
        span = self._spans.get(at)
        if span is None:
            self._spans[at] = [ts, ts, value, value, value, doubt]
            return
        if value < span[_LOW]:
            span[_LOW] = value
        elif value > span[_HIGH]:
            span[_HIGH] = value
        if ts >= span[_LAST]:
            span[_LAST], span[_VALUE] = ts, value
        else:
            span[_FIRST] = min(span[_FIRST], ts)
        if doubt:
            span[_DOUBT] = True

    def spans(self) -> list[Span]:
        """Return them, in the order of time; where nothing was read there is none."""
        return [Span(*self._spans[at]) for at in sorted(self._spans)]


def runs(spans: list[Span], gap_ms: float) -> list[list[Span]]:
    """Part them where there was nothing for longer than ``gap_ms``."""
    found: list[list[Span]] = []
    for span in spans:
        if found and span.first - found[-1][-1].last <= gap_ms:
            found[-1].append(span)
        else:
            found.append([span])
    return found
