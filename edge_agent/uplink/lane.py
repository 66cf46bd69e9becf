"""What is to be sent, dealt by device: live readings from memory, the backlog from the log. Pure."""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import accumulate, takewhile

from edge_agent.row import Row, Run

_ROW_OVERHEAD = 40  # bytes of JSON around a row's values: seq, ts, brackets
MOST_ROWS = 2_000  # in one message


class Lane:
    """Runs that wait, in a queue per stream. Streams take turns, so that none waits for another.

    ``owes_any`` says of a stream whether one of the numbers from first to last is owed: then they must not
    lie inside a message, whose acknowledgement settles all from its first to its last.
    """

    def __init__(
        self, names_size: dict[int, int], owes_any: Callable[[int, int, int], bool] = lambda *_: True
    ) -> None:
        self._owes_any = owes_any
        self._names_size = names_size  # by description: bytes of channel names in each reading
        self._queues: dict[int, deque[Run]] = {}
        self.waiting = 0  # rows

    def add(self, runs: Iterable[Run]) -> None:
        """Put runs behind those that wait already."""
        for run in runs:
            queue = self._queues.get(run.stream)
            if queue is None:
                queue = self._queues[run.stream] = deque()
            queue.append(run)
            self.waiting += len(run.rows)

    def first(self) -> Row:
        """The row that the next message begins with. Something must wait."""
        return next(iter(self._queues.values()))[0].rows[0]

    def take(self, room: int, most: int = MOST_ROWS) -> Run:
        """Take the next message's rows: at least one, at most ``most``, and ``room`` bytes if it can be.

        Something must wait. Runs go whole where they can, for then uplinks share what they make of them.
        """
        stream = next(iter(self._queues))
        queue = self._queues.pop(stream)
        taken = [queue.popleft()]
        rows, size = len(taken[0].rows), self._size(taken[0])
        if rows > most or (size > room and rows > 1):
            taken[0], rest = self._cut(taken[0], room, most)
            queue.appendleft(rest)
        else:
            while queue and self._follows(taken[-1], queue[0]):
                rows += len(queue[0].rows)
                size += self._size(queue[0])
                if rows > most or size > room:
                    break
                taken.append(queue.popleft())
        run = taken[0] if len(taken) == 1 else Run([row for one in taken for row in one.rows])
        self.waiting -= len(run.rows)
        if queue:
            self._queues[stream] = queue  # to the end: the others have their turn
        return run

    def _around(self, run: Run) -> int:
        return _ROW_OVERHEAD + self._names_size.get(run.rows[0].meta, 0)

    def _size(self, run: Run) -> int:
        return run.size + len(run.rows) * self._around(run)

    def _cut(self, run: Run, room: int, most: int) -> tuple[Run, Run]:
        """Cut a run where the room ends, after one row at least."""
        around = self._around(run)
        sizes = accumulate(around + len(row.body) for row in run.rows)
        fit = max(1, min(most, sum(1 for _ in takewhile(room.__ge__, sizes))))
        return Run(run.rows[:fit]), Run(run.rows[fit:])

    def _follows(self, run: Run, after: Run) -> bool:
        first, last = run.last + 1, after.first - 1
        if run.rows[0].meta != after.rows[0].meta or first > last + 1:
            return False
        return first > last or not self._owes_any(run.stream, first, last)

    def put_back(self, run: Run) -> None:
        """Return rows that were taken to where they were: what came back before them may be older."""
        if run.rows:
            queue = self._queues.setdefault(run.stream, deque())
            in_order = not queue or run.rows[-1].id < queue[0].rows[0].id
            queue.appendleft(run)
            if not in_order:
                self._queues[run.stream] = deque(sorted(queue, key=lambda one: one.rows[0].id))
            self.waiting += len(run.rows)

    def clear(self) -> None:
        """Forget all that waits."""
        self._queues.clear()
        self.waiting = 0

    def low_water(self) -> int | None:
        """The lowest log id that waits, or None."""
        return min((queue[0].rows[0].id for queue in self._queues.values()), default=None)
