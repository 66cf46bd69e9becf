"""Repairs that an uplink is owed: rows that were sent without a true time, and go once more with it. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from edge_agent.row import Row

MOST = 64


class OwedRepairs:
    """Disjoint ``runs`` of log ids, both ends included, in order; at most 64. Table ``again``.

    One more makes the closest two into one: what lies between them is then sent again as well, which a
    consumer sees as a duplicate.
    """

    __slots__ = ("_boot", "_saved", "runs")

    def __init__(self, runs: Iterable[tuple[int, int]] = (), boot: int = 0) -> None:
        self.runs = sorted(runs)
        self._boot = boot
        self._saved = list(self.runs)

    def owe(self, rows: Sequence[Row]) -> None:
        """Note rows that were taken without a true time; that of an earlier boot is never learnt any more."""
        if ids := [row.id for row in rows if row.boot == self._boot]:
            self.add(ids[0], ids[-1])

    def add(self, first: int, last: int) -> None:
        """Note the ids from first to last."""
        runs = self.runs
        low = bisect_left(runs, first - 1, key=lambda run: run[1])
        high = bisect_right(runs, last + 1, key=lambda run: run[0])
        if low < high:  # it touches these
            first, last = min(first, runs[low][0]), max(last, runs[high - 1][1])
        runs[low:high] = [(first, last)]
        if len(runs) > MOST:
            at = min(range(1, len(runs)), key=lambda at: runs[at][0] - runs[at - 1][1])
            runs[at - 1 : at + 1] = [(runs[at - 1][0], runs[at][1])]

    def drop_below(self, id_: int) -> None:
        """Forget all ids below this one."""
        if self.runs and self.runs[0][0] < id_:
            self.runs = [(max(first, id_), last) for first, last in self.runs if last >= id_]

    def following(self, id_: int) -> tuple[int, int] | None:
        """Return the first run of noted ids from this one on, None when there are no more."""
        for first, last in self.runs:
            if last >= id_:
                return max(first, id_), last
        return None

    def unsaved(self) -> list[tuple[int, int]] | None:
        """Return the runs as a checkpoint is to have them, None where the last one has."""
        return list(self.runs) if self.runs != self._saved else None

    def saved(self, runs: list[tuple[int, int]]) -> None:
        """A checkpoint with these is on disk."""
        self._saved = runs
