"""What of a stream is still in the log: found by its numbers, though only the order of keeping is indexed.

Within a stream the numbers grow with the log ids, so that a number is found by halving. No step looks at more
than some thousand rows, and between two of them the writer has its turn.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterable

from edge_agent.outbox.queries import LOG_COLUMNS
from edge_agent.outbox.store import DamagedError, Store
from edge_agent.row import RangeStatus, Row, intact

MOST = 10_000  # numbers looked up at a time
_MOST_RUNS = 200  # that cannot come: an answer must fit into a message
_SPAN = 20_000  # log ids
_MOST_LOSSES = 1_000


async def look_up(  # noqa: PLR0913, PLR0917 - all that a range is looked up by
    db: Store,
    uplink: int,
    stream: int,
    first: int,
    last: int,
    ids: tuple[int, int],
    kind: Callable[[int], str],
) -> RangeStatus:
    """Say what became of the numbers from first to last, or of as many as fit into an answer.

    ``ids``: where the log begins and ends. ``kind`` says of a number that it never was for this uplink, or
    that it is ``pending``; else "".
    """
    last = min(last, first + MOST - 1)
    from_id = await _locate(db, stream, first, *ids)
    there: dict[int, int] = {}  # ids by number
    at = from_id
    while at <= ids[1] and last not in there:
        found = await db.run(_numbers, stream, at, min(at + _SPAN, ids[1]))
        there.update((seq, id_) for id_, seq in found if seq <= last)
        if found and found[-1][1] > last:
            break
        at += _SPAN + 1
    losses = await db.run(_losses, stream, first, last)
    rejected = await db.run(_quarantined, uplink, stream, first, last)
    starts = [loss[0] for loss in losses]

    def what(seq: int) -> str:
        if reason := kind(seq):
            return reason
        if seq in there:
            return "rejected" if seq in rejected else "queued"
        for loss in losses[: bisect_right(starts, seq)]:
            if seq <= loss[1]:
                return loss[2]
        return "gone"

    runs = _runs(range(first, last + 1), what)
    to_seq = runs[-1][1] if runs else last
    return RangeStatus(to_seq, from_id, max(there.values(), default=from_id - 1), runs)


async def read(  # noqa: PLR0913, PLR0917 - the same
    db: Store, stream: int, first: int, last: int, from_id: int, to_id: int, limit: int
) -> tuple[list[Row], int]:
    """Read rows of a stream between two log ids; return at most ``limit``, and where to read on.

    Raises:
        DamagedError: one is not as it was written.
    """
    end = min(from_id + _SPAN, to_id)
    rows = await db.run(_read, stream, first, last, from_id, end, limit)
    return rows, (rows[-1].id if len(rows) == limit else end) + 1


async def _locate(db: Store, stream: int, seq: int, low: int, high: int) -> int:
    """Return the log id of a stream's first row from a number on, ``high`` + 1 where there is none."""
    found = high + 1
    while low <= high:
        middle = at = (low + high) // 2
        row = None
        while row is None and at <= high:
            row = await db.run(_next, stream, at, min(at + _SPAN, high))
            at += _SPAN + 1
        if row is None or row[1] >= seq:
            found = found if row is None else row[0]
            high = middle - 1
        else:
            low = row[0] + 1
    return found


def _next(db: sqlite3.Connection, stream: int, from_id: int, to_id: int) -> tuple[int, int] | None:
    row = db.execute(
        "SELECT id, seq FROM log WHERE id BETWEEN ? AND ? AND stream = ? ORDER BY id LIMIT 1",
        (from_id, to_id, stream),
    ).fetchone()
    return None if row is None else (row[0], row[1])


def _numbers(db: sqlite3.Connection, stream: int, from_id: int, to_id: int) -> list[tuple[int, int]]:
    return db.execute(
        "SELECT id, seq FROM log WHERE id BETWEEN ? AND ? AND stream = ? ORDER BY id",
        (from_id, to_id, stream),
    ).fetchall()


def _read(  # noqa: PLR0913, PLR0917 - as above
    db: sqlite3.Connection, stream: int, first: int, last: int, from_id: int, to_id: int, limit: int
) -> list[Row]:
    found = db.execute(
        f"SELECT {LOG_COLUMNS} FROM log WHERE id BETWEEN ? AND ? AND stream = ? AND seq BETWEEN ? AND ?"  # noqa: S608 - no input in it
        " ORDER BY id LIMIT ?",
        (from_id, to_id, stream, first, last, limit),
    )
    rows = [Row._make(row) for row in found]
    if not all(map(intact, rows)):
        raise DamagedError(f"a row between {from_id} and {to_id} is not as it was written")
    return rows


def _losses(db: sqlite3.Connection, stream: int, first: int, last: int) -> list[tuple[int, int, str]]:
    return db.execute(
        "SELECT from_seq, ifnull(to_seq, ?3), reason FROM loss WHERE stream = ?1 AND from_seq <= ?3"
        " AND (to_seq IS NULL OR to_seq >= ?2) ORDER BY from_seq LIMIT ?4",
        (stream, first, last, _MOST_LOSSES),
    ).fetchall()


def _quarantined(db: sqlite3.Connection, uplink: int, stream: int, first: int, last: int) -> set[int]:
    return {
        seq
        for (seq,) in db.execute(
            "SELECT seq FROM quarantine WHERE uplink = ? AND stream = ? AND seq BETWEEN ? AND ?",
            (uplink, stream, first, last),
        )
    }


def _runs(numbers: Iterable[int], what: Callable[[int], str]) -> list[tuple[int, int, str]]:
    """Join numbers that are the same, until too many of the runs cannot come."""
    runs: list[tuple[int, int, str]] = []
    odd = 0
    for number in numbers:
        now = what(number)
        if runs and runs[-1][2] == now:
            runs[-1] = runs[-1][0], number, now
            continue
        odd += now != "queued"
        if odd > _MOST_RUNS:
            break
        runs.append((number, number, now))
    return runs
