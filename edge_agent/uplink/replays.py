"""Readings that a backend asks for once more: on the history topic, in turns with the backlog.

They are in no way owed: to be taken or refused changes neither ``settled`` nor what is declared lost.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from edge_agent.contract.commands import ReplayArgs
from edge_agent.row import RangeStatus, runs
from edge_agent.uplink.downlink import CannotError
from edge_agent.uplink.in_flight import InFlight
from edge_agent.uplink.interfaces import Delivery
from edge_agent.uplink.lane import Lane

_READ_ROWS = 1_000
_MOST_JOBS = 100


@dataclass(slots=True)
class Job:
    """Numbers of a stream that go out once more, in order: between two log ids, from ``next_id`` on."""

    stream: int
    ranges: list[tuple[int, int]]
    next_id: int
    to_id: int


@dataclass(slots=True)
class Jobs:
    """What is asked for, and was not taken yet. It lives longer than a connection."""

    waiting: deque[Job] = field(default_factory=deque)

    async def ask(self, delivery: Delivery, args: ReplayArgs) -> dict[str, Any]:
        """Take a request on; return what will come, and what cannot.

        Raises:
            CannotError: there is no such stream, or too much is asked for.
        """
        here = (
            one for one in delivery.streams.values() if (one.device, one.epoch) == (args.device, args.epoch)
        )
        stream = next(here, None)
        if stream is None:
            raise CannotError(f"there is no device {args.device} in epoch {args.epoch}")
        if args.to_seq < args.from_seq:
            raise CannotError("to_seq is below from_seq")
        if len(self.waiting) >= _MOST_JOBS:
            raise CannotError(f"{_MOST_JOBS} replays wait already; ask again later")
        if args.from_seq >= stream.next_seq:
            raise CannotError(f"{args.device} has only {stream.next_seq - 1} readings in this epoch")
        status = await delivery.log.range_status(
            stream.id, args.from_seq, min(args.to_seq, stream.next_seq - 1)
        )
        self.add(stream.id, status)
        come = {"queued", "pending"}
        return {
            "to_seq": status.to_seq,
            "queued": sum(last - first + 1 for first, last, what in status.runs if what == "queued"),
            "unavailable": [list(run) for run in status.runs if run[2] not in come],
            "pending": [list(run[:2]) for run in status.runs if run[2] == "pending"],
        }

    def add(self, stream: int, status: RangeStatus) -> None:
        """Queue what is in the log and does not wait already."""
        known = [one for job in self.waiting if job.stream == stream for one in job.ranges]
        new = [
            part
            for first, last, what in status.runs
            if what == "queued"
            for part in without((first, last), known)
        ]
        if new:
            self.waiting.append(Job(stream, new, status.from_id, status.to_id))


def without(whole: tuple[int, int], taken: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what is left of a range without others, in order. Both ends are included."""
    left, low = [], whole[0]
    for first, last in sorted(taken):
        if last < low or first > whole[1]:
            continue
        if first > low:
            left.append((low, first - 1))
        low = max(low, last + 1)
    if low <= whole[1]:
        left.append((low, whole[1]))
    return left


def _within(number: int, ranges: Sequence[tuple[int, int]]) -> bool:
    at = bisect_right(ranges, number, key=itemgetter(0)) - 1
    return at >= 0 and number <= ranges[at][1]


class Replays:
    """The jobs in one connection, one after the other."""

    def __init__(
        self, delivery: Delivery, in_flight: InFlight, names_size: dict[int, int], jobs: deque[Job]
    ) -> None:
        self.lane = Lane(names_size, lambda *_: False)  # to be taken settles none of them
        self._delivery, self._in_flight, self._jobs = delivery, in_flight, jobs
        self._job: Job | None = None  # the one that is read
        self._cursor = 0
        self._opened = False

    def open(self) -> None:
        """They may flow."""
        self._opened = True

    @property
    def runs_low(self) -> bool:
        """Whether the lane runs low and there is more."""
        if self._job is None:
            return self._opened and bool(self._jobs)
        return self._cursor <= self._job.to_id and self.lane.waiting < _READ_ROWS // 2

    async def read(self) -> None:
        """Read on in the first job."""
        job = self._job = self._jobs[0]
        at = max(self._cursor, job.next_id)
        rows, self._cursor = await self._delivery.log.read_range(
            job.stream, job.ranges[0][0], job.ranges[-1][1], at, job.to_id, _READ_ROWS
        )
        self.lane.add(runs(row for row in rows if _within(row.seq, job.ranges)))
        self.progressed()

    def progressed(self) -> None:
        """Some of it was taken, or left out: the next connection begins behind it."""
        if self._job is None:
            return
        places = self.lane.low_water(), self._in_flight.low_water((self.lane,))
        self._job.next_id = min((id_ for id_ in places if id_ is not None), default=self._cursor)
        if self._job.next_id > self._job.to_id:
            self._jobs.popleft()
            self._job, self._cursor = None, 0
