"""What is to be sent, dealt by device: live readings from memory, the backlog from the log. Pure."""

from collections import deque
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import NamedTuple

from edge_agent.kept import Row

_ROW_OVERHEAD = 40  # bytes of JSON around a row's values: seq, ts, brackets
MOST_ROWS = 2_000  # in one message


class Run(NamedTuple):
    """Rows for one message: one stream, one description; of the numbers between them none is owed."""

    rows: list[Row]

    @property
    def stream(self) -> int:
        """The stream they belong to."""
        return self.rows[0].stream

    @property
    def first(self) -> int:
        """The first number."""
        return self.rows[0].seq

    @property
    def last(self) -> int:
        """The last number."""
        return self.rows[-1].seq


class Lane:
    """Rows that wait, in a queue per stream. Streams take turns, so that none waits for another.

    ``owes_any`` says of a stream whether one of the numbers from first to last is owed: then they must not
    lie inside a message, whose acknowledgement settles all from its first to its last.
    """

    def __init__(
        self, names_size: dict[int, int], owes_any: Callable[[int, int, int], bool] = lambda *_: True
    ) -> None:
        self._owes_any = owes_any
        self._names_size = names_size  # by description: bytes of channel names in each reading
        self._queues: dict[int, deque[Row]] = {}
        self.waiting = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Put rows behind those that wait already."""
        queues, count = self._queues, 0
        for row in rows:
            queue = queues.get(row.stream)
            if queue is None:
                queue = queues[row.stream] = deque()
            queue.append(row)
            count += 1
        self.waiting += count

    def first(self) -> Row:
        """The row that the next message begins with. Something must wait."""
        return next(iter(self._queues.values()))[0]

    def take(self, room: int, most: int = MOST_ROWS) -> Run:
        """Take the next message's rows: at least one, at most ``most``, and ``room`` bytes if it can be.

        Something must wait.
        """
        stream = next(iter(self._queues))
        queue = self._queues.pop(stream)
        rows = [queue.popleft()]
        meta, seq = rows[0].meta, rows[0].seq
        around = _ROW_OVERHEAD + self._names_size.get(meta, 0)
        size = around + len(rows[0].body)
        while queue and len(rows) < most:
            row = queue[0]
            size += around + len(row.body)
            number = row.seq
            if row.meta != meta or size > room:
                break
            if number != seq + 1 and (number <= seq or self._owes_any(stream, seq + 1, number - 1)):
                break
            seq = number
            rows.append(queue.popleft())
        self.waiting -= len(rows)
        if queue:
            self._queues[stream] = queue  # to the end: the others have their turn
        return Run(rows)

    def put_back(self, run: Run) -> None:
        """Return rows that were taken to where they were: what came back before them may be older."""
        if run.rows:
            queue = self._queues.setdefault(run.stream, deque())
            in_order = not queue or run.rows[-1].id < queue[0].id
            queue.extendleft(reversed(run.rows))
            if not in_order:
                self._queues[run.stream] = deque(sorted(queue, key=attrgetter("id")))
            self.waiting += len(run.rows)

    def clear(self) -> None:
        """Forget all that waits."""
        self._queues.clear()
        self.waiting = 0

    def low_water(self) -> int | None:
        """The lowest log id that waits, or None."""
        return min((queue[0].id for queue in self._queues.values()), default=None)


class Backlog:
    """Where the forward scan of the log stands. Rows up to ``limit`` are backlog, later ones live."""

    def __init__(self) -> None:
        self.cursor = 1
        self.limit = 0

    @property
    def more(self) -> bool:
        """Whether the log still has rows to be read."""
        return self.cursor <= self.limit

    def begin(self, scan_from: int, last_id: int) -> None:
        """A session begins: all that is on disk and owed is backlog."""
        self.cursor, self.limit = scan_from, last_id

    def extend(self, last_id: int) -> None:
        """Live rows up to this one were dropped from memory: the log has them."""
        self.limit = last_id

    def advance(self, rows: list[Row], upto: int) -> None:
        """A piece of the log was read; nothing means that there is no more up to there."""
        self.cursor = rows[-1].id + 1 if rows else upto + 1
