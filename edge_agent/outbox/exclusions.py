"""What an uplink is never owed: readings of a device that were kept while it was not on that uplink.

They are neither sent nor acknowledged. What the file says of them is written when a device or an uplink comes
or goes, never with readings: so a crash cannot bring back what is not to be sent.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator

from edge_agent.row import Stream


class Exclusions:
    """One uplink's runs of numbers by stream. The last one of a stream may be open, and then grows."""

    def __init__(self, runs: Iterable[tuple[int, int, int | None]] = ()) -> None:
        self._runs: dict[int, list[tuple[int, int]]] = {}
        self.open_from: dict[int, int] = {}  # by stream that is not on the uplink now: the first number
        for stream, first, last in runs:
            if last is None:
                self.open_from[stream] = first
            else:
                self._runs.setdefault(stream, []).append((first, last))

    def runs(self, stream: Stream) -> Iterator[tuple[int, int]]:
        """The runs of a stream so far."""
        yield from self._runs.get(stream.id, ())
        if (first := self.open_from.get(stream.id, stream.next_seq)) < stream.next_seq:
            yield first, stream.next_seq - 1

    def whole(self, stream: Stream) -> bool:
        """Say whether a stream was never on the uplink."""
        last_seq = stream.next_seq - 1
        return self.open_from.get(stream.id) == 1 or (
            last_seq > 0 and sum(last - first + 1 for first, last in self.runs(stream)) == last_seq
        )

    def covers(self, stream: int, seq: int) -> bool:
        """Say whether a number is in one of them."""
        return self.open_from.get(stream, seq + 1) <= seq or any(
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


def put(db: sqlite3.Connection, uplink: int, runs: Iterable[tuple[int, int, int | None]]) -> None:
    """Write runs: first and last number, None where one is open. Inside a transaction, which signs."""
    db.executemany(
        "INSERT OR REPLACE INTO apart (uplink, stream, from_seq, to_seq) VALUES (?, ?, ?, ?)",
        [(uplink, *run) for run in runs],
    )
