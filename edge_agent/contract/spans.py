"""Sets of numbers as the ranges they form: what arrived of a long count takes a few pairs, not a set."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

Span = tuple[int, int]
"""First and last of a range, both in it."""

END = 2**63
"""Past every number: the last of a range that has no end."""


class Spans:
    """Disjoint ranges in order, never two that touch."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def __contains__(self, number: int) -> bool:
        """Say whether a number is in one of them."""
        at = bisect_right(self._spans, (number, END)) - 1
        return at >= 0 and number <= self._spans[at][1]

    def __iter__(self) -> Iterator[Span]:
        """Give the ranges, lowest first."""
        return iter(self._spans)

    def __len__(self) -> int:
        """Count the ranges."""
        return len(self._spans)

    def add(self, first: int, last: int) -> None:
        """Take in the numbers from first to last."""
        spans = self._spans
        if spans and spans[-1][1] + 1 == first:  # the usual case: they come in order
            spans[-1] = (spans[-1][0], last)
            return
        low = bisect_left(spans, first - 1, key=_last)
        high = bisect_right(spans, last + 1, key=_first)
        if low < high:
            first, last = min(first, spans[low][0]), max(last, spans[high - 1][1])
        spans[low:high] = [(first, last)]

    def inside(self, first: int, last: int) -> Iterator[Span]:
        """Give what there is of the numbers from first to last."""
        low = bisect_left(self._spans, first, key=_last)
        high = bisect_right(self._spans, last, key=_first)
        for start, end in self._spans[low:high]:
            yield max(first, start), min(last, end)

    def outside(self, first: int, last: int) -> Iterator[Span]:
        """Give what is missing of the numbers from first to last."""
        for start, end in self.inside(first, last):
            if first < start:
                yield first, start - 1
            first = end + 1
        if first <= last:
            yield first, last

    def forget(self, last: int) -> None:
        """Drop all up to and with a number."""
        self._spans = list(self.inside(last + 1, END))


def _first(span: Span) -> int:
    return span[0]


def _last(span: Span) -> int:
    return span[1]
