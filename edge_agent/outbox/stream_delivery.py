"""What one uplink is still owed of one stream: a few ranges, however many readings. Pure.

A thinned range keeps its ``every``-th number (a power of two, so that thinning again nests) and no entry per
reading: a number in it is given up unless ``every`` divides it.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import orjson

from edge_agent.outbox.ranges import Ranges

_MOST_BEYOND = 64  # ranges beyond settled that are kept


class Thinned(NamedTuple):
    """Of the numbers ``first`` to ``last`` only the multiples of ``every`` were not given up."""

    first: int
    last: int
    every: int


class LostPart(NamedTuple):
    """Numbers that would be given up: the first, the last, and how many."""

    first: int
    last: int
    readings: int


class DeliveryRow(NamedTuple):
    """One as the file has it. ``given_up``: [first, last, every], where every 0 means all of it."""

    settled: int
    beyond: str | None
    given_up: str | None


class StreamDelivery:
    """The numbers of one stream, 1 and up: owed, acknowledged or given up.

    ``done`` are acknowledged or given up, but for what is ``thinned``. ``open`` are declarations that were
    not acknowledged yet, by id, with the first number of each: ``settled`` stays below them.
    """

    __slots__ = ("done", "given_up", "open", "thinned")

    def __init__(
        self, done: Ranges | None = None, thinned: Sequence[Thinned] = (), given_up: Ranges | None = None
    ) -> None:
        self.done = done or Ranges()
        self.thinned = list(thinned)
        self.given_up = given_up or Ranges()  # wholly, above settled: no row has them, so none is forgotten
        self.open: dict[int, int] = {}

    @classmethod
    def read(cls, written: DeliveryRow) -> "StreamDelivery":
        """Make one of what the file says. Declarations that are open are to be lost again."""
        done, given_up, thinned = Ranges(written.settled), Ranges(written.settled), []
        for first, last in orjson.loads(written.beyond or "[]"):
            done.add(first, last)
        for first, last, every in orjson.loads(written.given_up or "[]"):
            if every:
                thinned.append(Thinned(first, last, every))
            else:
                given_up.add(first, last)
        return cls(done, thinned, given_up)

    def write(self) -> DeliveryRow:
        """Return it as the file keeps it. What lies above an open declaration is beyond ``settled``."""
        done, settled = self.remembered(), self.settled
        beyond = [(settled + 1, done.settled)] if done.settled > settled else []
        beyond += done.beyond
        gone = [*map(tuple, self.thinned), *((first, last, 0) for first, last in self.given_up.beyond)]
        return DeliveryRow(
            settled,
            orjson.dumps(beyond).decode() if beyond else None,
            orjson.dumps(gone).decode() if gone else None,
        )

    def forget(self) -> None:
        """A session ended: what would be too much to remember is owed again."""
        self.done = self.remembered()

    @property
    def settled(self) -> int:
        """All numbers up to this one are acknowledged, or given up and declared."""
        if self.open:
            return min(self.done.settled, min(self.open.values()) - 1)
        return self.done.settled

    def owes(self, seq: int) -> bool:
        """Say whether a number is neither acknowledged nor given up."""
        if seq in self.done:
            return False
        return not any(seq % every for first, last, every in self.thinned if first <= seq <= last)

    def owed(self, first: int, last: int) -> int:
        """How many of the numbers from first to last are owed."""
        return sum(high // step - (low - 1) // step for low, high, step in self._pieces(first, last))

    def would_lose(self, first: int, last: int, every: int | None) -> LostPart | None:
        """Return what would be given up of a range, wholly or but for each ``every``-th number."""
        found = [
            lost for piece in self._pieces(first, last) if (lost := _lost(*piece, every or 0)) is not None
        ]
        if not found:
            return None
        return LostPart(found[0].first, found[-1].last, sum(part.readings for part in found))

    def settle(self, first: int, last: int) -> int:
        """The broker has taken all that was owed of these; return how many that were."""
        new = last - first + 1 if self._plain(first) else self.owed(first, last)
        self._add(first, last)
        return new

    def lose(self, id_: int, first: int, last: int, every: int | None) -> int:
        """A range is given up by a declaration that is open now; return how many of it were owed."""
        part = self.would_lose(first, last, every)
        if every is None:
            self.given_up.add(first, last)
            self._add(first, last)
        else:
            self.thinned = _merged([*self.thinned, Thinned(first, last, every)])
            self._absorb()
        self.open[id_] = min(first, self.open.get(id_, first))
        return part.readings if part else 0

    def skip(self, first: int, last: int) -> None:
        """These are never owed, and there is nothing to declare."""
        self.given_up.add(first, last)
        self._add(first, last)

    def declared(self, id_: int) -> None:
        """The broker has taken the declaration."""
        self.open.pop(id_, None)

    def remembered(self) -> Ranges:
        """Return ``done`` as it is kept: what is forgotten of it lies above a number that is owed.

        That one is found in the log again, and so all above it. What was given up is not forgotten.
        """
        if len(self.done.beyond) <= _MOST_BEYOND:
            return self.done
        kept = Ranges(self.done.settled, self.done.beyond[:_MOST_BEYOND])
        for first, last in self.given_up.beyond:
            kept.add(first, last)
        return kept

    def _plain(self, first: int) -> bool:
        """Say whether nothing lies above what is settled."""
        return first == self.done.settled + 1 and not self.done.beyond and not self.thinned

    def _pieces(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """Cut a range into pieces (low, high, step) in which the multiples of step are owed, in order."""
        low = max(first, self.done.settled + 1)
        for start, end in (*self.done.beyond, (last + 1, last + 1)):
            high = min(start - 1, last)
            if low <= high:
                yield from self._steps(low, high)
            low = max(low, end + 1)
            if low > last:
                return

    def _steps(self, low: int, high: int) -> Iterator[tuple[int, int, int]]:
        inside = [t for t in self.thinned if t.first <= high and t.last >= low]
        if not inside:
            yield low, high, 1
            return
        cuts = {low, high + 1}
        for thinned in inside:
            cuts.update(cut for cut in (thinned.first, thinned.last + 1) if low < cut <= high)
        for start, after in pairwise(sorted(cuts)):
            steps = [t.every for t in inside if t.first <= start <= t.last]
            yield start, after - 1, max(steps, default=1)

    def _add(self, first: int, last: int) -> None:
        if self.thinned:
            first = self._lowest(first)
            last = self._highest(last)
        self.done.add(first, last)
        self._absorb()

    def _absorb(self) -> None:
        """Numbers that were thinned out right above what is done are done too; forget what is passed."""
        while self.thinned and (top := self._highest(self.done.settled)) > self.done.settled:
            self.done.add(self.done.settled + 1, top)
        settled = self.done.settled
        if self.thinned:
            self.thinned = [thinned for thinned in self.thinned if thinned.last > settled]
        if self.given_up.beyond and self.given_up.beyond[0][0] <= settled:
            self.given_up.add(1, settled)

    def _lowest(self, first: int) -> int:
        """Where the numbers that were thinned out right below one begin."""
        while first > 1:
            down = min(
                (max(t.first, (first - 1) // t.every * t.every + 1)
                 for t in self.thinned if t.first < first <= t.last + 1),
                default=first,
            )  # fmt: skip
            if down >= first:
                break
            first = down
        return first

    def _highest(self, last: int) -> int:
        """Where the numbers that were thinned out right above one end."""
        while True:
            up = max(
                (min(t.last, (last // t.every + 1) * t.every - 1)
                 for t in self.thinned if t.first - 1 <= last < t.last),
                default=last,
            )  # fmt: skip
            if up <= last:
                return last
            last = up


def _lost(low: int, high: int, step: int, every: int) -> LostPart | None:
    """Return the multiples of step from low to high that ``every`` does not divide (0: all of them)."""
    first, last = -(-low // step) * step, high // step * step
    if first > last or (every and every <= step):
        return None
    readings = last // step - first // step + 1
    if every:
        readings -= last // every - (first - 1) // every
        first += step * (first % every == 0)
        last -= step * (last % every == 0)
    return LostPart(first, last, readings) if readings else None


def _merged(ranges: list[Thinned]) -> list[Thinned]:
    """Join ranges of the same step that touch or overlap."""
    made: list[Thinned] = []
    for one in sorted(ranges, key=lambda thinned: (thinned.every, thinned.first)):
        if made and made[-1].every == one.every and one.first <= made[-1].last + 1:
            made[-1] = made[-1]._replace(last=max(made[-1].last, one.last))
        else:
            made.append(one)
    return made
