"""Which numbers of one stream are settled: all up to a point, and a few ranges beyond it."""

from bisect import bisect_left


class Ranges:
    """Settled numbers, 1 and up: all to ``settled``, and disjoint ``beyond`` ranges above, in order."""

    __slots__ = ("beyond", "settled")

    def __init__(self, settled: int = 0, beyond: list[tuple[int, int]] | None = None) -> None:
        self.settled = settled
        self.beyond = beyond or []

    def __contains__(self, number: int) -> bool:
        """Say whether a number is settled."""
        return self.covers(number, number)

    def covers(self, first: int, last: int) -> bool:
        """Say whether all numbers from first to last are settled."""
        if last <= self.settled:
            return True
        if not self.beyond:
            return False
        at = bisect_left(self.beyond, (first + 1,)) - 1
        return at >= 0 and last <= self.beyond[at][1]

    def count(self) -> int:
        """How many numbers are settled."""
        return self.settled + sum(last - first + 1 for first, last in self.beyond)

    def add(self, first: int, last: int) -> int:
        """Settle the numbers from first to last; return how many of them were not settled before."""
        if first == self.settled + 1 and not self.beyond:  # the usual case: acknowledged in order
            self.settled = max(self.settled, last)
            return last - first + 1
        before = self.count()
        low, high = first, last
        disjoint: list[tuple[int, int]] = []
        for other in self.beyond:
            if other[1] + 1 < low or other[0] > high + 1:
                disjoint.append(other)
            else:
                low, high = min(low, other[0]), max(high, other[1])
        disjoint.append((low, high))
        disjoint.sort()
        while disjoint and disjoint[0][0] <= self.settled + 1:
            self.settled = max(self.settled, disjoint.pop(0)[1])
        self.beyond = disjoint
        return self.count() - before

    def forget(self, most: int) -> list[tuple[int, int]]:
        """Keep the lowest ``most`` ranges beyond, and return the others."""
        forgotten = self.beyond[most:]
        del self.beyond[most:]
        return forgotten
