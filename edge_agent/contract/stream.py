"""The count of one device in one epoch, as a consumer sees it: what arrived, is missing, is lost."""

from collections.abc import Iterable, Iterator
from enum import Enum

from edge_agent.contract.spans import END, Span, Spans

MOST_SPANS = 10_000
"""Of arrived and of declared numbers, each, that one stream remembers."""

REACH = 500
"""Gaps that are no further apart than this are asked for together."""

MOST_ASKED = 10_000
"""How many numbers one replay is asked for: a gateway looks up no more at a time."""


class News(Enum):
    """What a reading is to a consumer that has seen the ones before it."""

    FRESH = "fresh"
    BETTER = "better"  # known, but with a time that was not known to be right; this one is
    AGAIN = "again"


class Stream:
    """What one consumer knows of one (gateway, device, epoch).

    ``floor``: only what is above it is judged. None until ``settled`` is heard for the first time, which then
    is the floor: what was settled before somebody listened is not missing. Ranges are remembered, not
    numbers, and at most ``most`` of a kind: the lowest are forgotten, and the floor rises above them. What
    was missing there is counted in ``unjudged``. A number below that comes again is taken for fresh, since
    to write a reading twice harms nobody, and to drop it does.
    """

    __slots__ = (
        "_arrived", "_declared", "_lost_below", "_most", "_sure", "closed", "ended", "floor", "settled",
        "top", "unjudged",
    )  # fmt: skip

    def __init__(self, floor: int | None = None, most: int = MOST_SPANS) -> None:
        self.floor = floor
        self.settled = 0
        self.top = 0
        """The highest number that arrived."""
        self.closed = 0
        """Numbers that were missing at or below ``settled``, and then came or were declared lost."""
        self.unjudged = 0
        """Numbers that were missing when they were forgotten."""
        self.ended: int | None = None
        """Where the epoch ends: this number and all above it are declared lost, nobody knows how many."""
        self._arrived, self._sure, self._declared = Spans(), Spans(), Spans()
        self._lost_below, self._most = 0, most

    def arrive(self, seq: int, *, timed: bool) -> News:
        """Take one reading. ``timed``: its time is known to be right, or was repaired."""
        if seq in self._arrived:
            if not timed or seq in self._sure:
                return News.AGAIN
            self._sure.add(seq, seq)
            self._bound()
            return News.BETTER
        self.closed += self._judged(seq) and seq not in self._declared
        self.top = max(self.top, seq)
        self._arrived.add(seq, seq)
        if timed:
            self._sure.add(seq, seq)
        self._bound()
        return News.FRESH

    def absent(self, above: int, below: int) -> None:
        """Hear that the numbers between these two are not for this consumer: they are not missing."""
        if above + 1 < below:
            self._arrived.add(above + 1, below - 1)
            self._bound()

    def settle(self, upto: int) -> None:
        """Hear that all up to a number was acknowledged or declared. Call it after the message's readings."""
        if self.floor is None:
            self.floor = max(0, upto)
        self.settled = max(self.settled, upto)

    def declare(self, first: int, last: int | None) -> None:
        """Hear that a range is lost, but for what of it has arrived or still arrives; None: no end."""
        before = _count(self.gaps())
        self._declared.add(first, END if last is None else last)
        if last is None:
            self.ended = first if self.ended is None else min(first, self.ended)
        self.closed += before - _count(self.gaps())
        self._bound()

    def rejoin(self) -> None:
        """Hear that nobody listened for a while: what was settled meanwhile is not judged."""
        self.unjudged += _count(self.gaps())
        self._lost_below = self.lost
        self.floor = None

    def gaps(self) -> Iterator[Span]:
        """Give what the broker has taken and nobody got: missing at or below settled, and not declared."""
        if self.floor is not None:
            yield from self._missing(self.floor + 1, self.settled)

    @property
    def missing(self) -> int:
        """How many numbers are in gaps."""
        return _count(self.gaps())

    def missing_in(self, first: int, last: int) -> int:
        """Count the numbers of a range that are in gaps."""
        if self.floor is None:
            return 0
        return _count(self._missing(max(first, self.floor + 1), min(last, self.settled)))

    @property
    def lost(self) -> int:
        """How many numbers are declared lost, have not arrived, and are settled."""
        return self._lost_below + (0 if self.floor is None else self._lost(self.floor + 1, self.settled))

    def replays(self, most: int = MOST_ASKED) -> Iterator[Span]:
        """Give what to ask replays for, lowest first: few coarse ranges of at most so many numbers.

        Together they cover all gaps; each begins and ends with a number that is missing.
        """
        start = end = 0
        for first, last in self.gaps():
            if start and (first - end > REACH or first - start >= most):
                yield start, end
                start = 0
            start = start or first
            while last - start >= most:
                yield start, start + most - 1
                start += most
            end = last
        if start:
            yield start, end

    def _judged(self, seq: int) -> bool:
        return self.floor is not None and self.floor < seq <= self.settled

    def _missing(self, first: int, last: int) -> Iterator[Span]:
        for low, high in self._arrived.outside(first, last):
            yield from self._declared.outside(low, high)

    def _lost(self, first: int, last: int) -> int:
        return sum(_count(self._arrived.outside(*span)) for span in self._declared.inside(first, last))

    def _bound(self) -> None:
        for spans in (self._arrived, self._declared):
            if len(spans) > self._most:
                self._raise_floor(next(iter(spans))[1])
        if len(self._sure) > self._most:
            self._sure.forget(next(iter(self._sure))[1])

    def _raise_floor(self, floor: int) -> None:
        if self.floor is not None and floor > self.floor:
            self.unjudged += _count(self._missing(self.floor + 1, floor))
            self._lost_below += self._lost(self.floor + 1, floor)
            self.floor = floor
        for spans in (self._arrived, self._sure, self._declared):
            spans.forget(floor)


def _count(spans: Iterable[Span]) -> int:
    return sum(last - first + 1 for first, last in spans)
