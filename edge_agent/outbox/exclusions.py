"""What an uplink is never owed: readings of a device that were kept while it was not on that uplink.

They are neither sent nor acknowledged. What the file says of them is written when a device or an uplink comes
or goes, never with readings: so a crash cannot bring back what is not to be sent.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from edge_agent.event import GATEWAY
from edge_agent.outbox.ranges import Ranges
from edge_agent.row import Stream

GONE = -1  # uplink.parked: given up


@dataclass(frozen=True, slots=True)
class Selection:
    """Which devices are on an uplink, None: all of them; and what it begins with when it is new.

    The gateway itself always is.
    """

    devices: Collection[str] | None = None
    begin: Literal["now", "oldest"] = "now"

    def __contains__(self, device: str) -> bool:
        """Say whether a device is on it."""
        return self.devices is None or device == GATEWAY or device in self.devices


class Exclusions:
    """One uplink's runs of numbers by stream. The last one of a stream may be open, and then grows."""

    def __init__(self, runs: Iterable[tuple[int, int, int | None]] = ()) -> None:
        self._runs: dict[int, list[tuple[int, int]]] = {}
        self.since: dict[int, int] = {}  # by stream that is not on the uplink now: the first number
        for stream, first, last in runs:
            if last is None:
                self.since[stream] = first
            else:
                self._runs.setdefault(stream, []).append((first, last))

    def runs(self, stream: Stream) -> Iterator[tuple[int, int]]:
        """The runs of a stream so far."""
        yield from self._runs.get(stream.id, ())
        if (since := self.since.get(stream.id, stream.next_seq)) < stream.next_seq:
            yield since, stream.next_seq - 1

    def whole(self, stream: Stream) -> bool:
        """Say whether a stream was never on the uplink."""
        told = stream.next_seq - 1
        return self.since.get(stream.id) == 1 or (
            told > 0 and sum(last - first + 1 for first, last in self.runs(stream)) == told
        )

    def covers(self, stream: int, seq: int) -> bool:
        """Say whether a number is in one of them."""
        return self.since.get(stream, seq + 1) <= seq or any(
            first <= seq <= last for first, last in self._runs.get(stream, ())
        )


def load(db: sqlite3.Connection) -> dict[int, list[tuple[int, int, int | None]]]:
    """Return all runs by uplink: stream, first and last number, None where it is open."""
    found: dict[int, list[tuple[int, int, int | None]]] = {}
    for uplink, *run in db.execute("SELECT uplink, stream, from_seq, to_seq FROM apart ORDER BY from_seq"):
        found.setdefault(uplink, []).append((run[0], run[1], run[2]))
    return found


def enrol(
    db: sqlite3.Connection, stream: int, next_seq: int, on: Collection[int], off: Collection[int]
) -> None:
    """From a number on a device is on some uplinks, and not on others. Inside a transaction, which signs."""
    for uplink in off:
        db.execute(
            "INSERT INTO apart (uplink, stream, from_seq) SELECT ?1, ?2, ?3 WHERE NOT EXISTS"
            " (SELECT 1 FROM apart WHERE uplink = ?1 AND stream = ?2 AND to_seq IS NULL)",
            (uplink, stream, next_seq),
        )
    for uplink in on:
        here = uplink, stream
        db.execute(
            "UPDATE apart SET to_seq = ?, sum = NULL WHERE uplink = ? AND stream = ? AND to_seq IS NULL",
            (next_seq - 1, *here),
        )
        db.execute("DELETE FROM apart WHERE uplink = ? AND stream = ? AND to_seq < from_seq", here)


def begin_now(db: sqlite3.Connection, uplink: int, streams: Iterable[Stream]) -> None:
    """Owe an uplink nothing of what was kept before."""
    _put(db, uplink, ((stream.id, 1, stream.next_seq - 1) for stream in streams if stream.next_seq > 1))


def begin_oldest(
    db: sqlite3.Connection, uplink: int, streams: Mapping[int, Stream], selection: Selection
) -> None:
    """Owe an uplink all that is still kept of its devices. Reads the log, once in its life."""
    kept = {
        id_: (first, last, count)
        for id_, first, last, count in db.execute(
            "SELECT stream, min(seq), max(seq), count(*) FROM log GROUP BY stream"
        )
    }
    for stream in streams.values():
        if stream.device not in selection:
            _put(db, uplink, [(stream.id, 1, None)])
            continue
        first, last, count = kept.get(stream.id, (stream.next_seq, stream.next_seq - 1, 0))
        ledger = _declare(db, uplink, stream, first)
        ends = [(1, first - 1), (last + 1, stream.next_seq - 1)]
        inner = _gaps(db, stream) if count < last - first + 1 else ()
        gaps = (gap for gap in (*ends, *inner) if gap[0] <= gap[1] and not ledger.covers(*gap))
        _put(db, uplink, ((stream.id, *gap) for gap in gaps))


def _declare(db: sqlite3.Connection, uplink: int, stream: Stream, first: int) -> Ranges:
    """Owe an uplink the declarations of what is in no row from a number on; return what they cover."""
    losses = db.execute(
        "SELECT id, from_seq, coalesce(to_seq, ?) FROM loss WHERE stream = ?"
        " AND (to_seq IS NULL OR to_seq >= ?) AND reason NOT IN ('rejected', 'removed')",
        (stream.next_seq - 1, stream.id, first),
    ).fetchall()
    covered = Ranges()
    for loss, low, high in losses:
        db.execute("INSERT INTO loss_owed (uplink, loss) VALUES (?, ?)", (uplink, loss))
        if low <= high:
            covered.add(low, high)
    return covered


def _gaps(db: sqlite3.Connection, stream: Stream) -> list[tuple[int, int]]:
    """Find the numbers that are in no row, between the first and the last that are."""
    rows = db.execute("SELECT seq FROM log WHERE stream = ? ORDER BY id", (stream.id,))
    return [(low + 1, high - 1) for (low,), (high,) in pairwise(rows) if high > low + 1]


def begin_again(db: sqlite3.Connection, uplink: int, streams: Iterable[Stream], selection: Selection) -> None:
    """Owe an uplink whatever there is of its devices: what it had is not known any more."""
    theirs = [stream.id for stream in streams if stream.device in selection]
    places = ",".join("?" * len(theirs))
    db.execute(
        f"INSERT INTO loss_owed (uplink, loss) SELECT ?, id FROM loss WHERE stream IN ({places})",  # noqa: S608 - marks
        (uplink, *theirs),
    )
    _put(db, uplink, [(stream.id, 1, None) for stream in streams if stream.device not in selection])


def _put(db: sqlite3.Connection, uplink: int, runs: Iterable[tuple[int, int, int | None]]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO apart (uplink, stream, from_seq, to_seq) VALUES (?, ?, ?, ?)",
        [(uplink, *run) for run in runs],
    )
