"""Rows that a full outbox gives up: found in the log, then declared and deleted in one transaction."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from edge_agent.outbox import ledger
from edge_agent.outbox.batch import Checkpoint
from edge_agent.outbox.eviction_order import Stage
from edge_agent.outbox.ledger import Entry, Fixed, Recorded
from edge_agent.outbox.seal import seal
from edge_agent.outbox.store import transaction
from edge_agent.outbox.stream_delivery import LostPart
from edge_agent.outbox.transactions import write_delivery
from edge_agent.row import EVENT_META


class Piece(NamedTuple):
    """One stream's rows in a piece of the log that are to go."""

    stream: int
    first: int
    last: int
    from_boot: int
    from_mono: int
    to_boot: int
    to_mono: int

    def entry(self, lost: LostPart, every: int | None) -> Entry:
        """Return the ledger entry for what of it is lost; ``every``: it was thinned out."""
        times = self.from_boot, self.from_mono, self.to_boot, self.to_mono
        return Entry(self.stream, *lost, *times, "capacity", every)


class Candidates(NamedTuple):
    """A piece of the log, both ends included: how many rows it has, and which are to go.

    Of history, events from ``events_from`` on stay: they may still be owed where no reading is.
    """

    first_id: int
    last_id: int
    rows: int
    pieces: Sequence[Piece]
    events_from: int


class Eviction(NamedTuple):
    """What one transaction gives up: by ledger entry who was owed it, and how many readings in all."""

    stage: Stage
    found: Candidates
    entries: Mapping[Entry, Collection[int]]
    gone: int


def candidates(
    db: sqlite3.Connection, stage: Stage, from_id: int, owed: tuple[int, int], rows: int
) -> Candidates | None:
    """Look through the next rows, None without any. ``owed``: from where on readings are, and events."""
    last, found = db.execute(
        "SELECT max(id), count(*) FROM (SELECT id FROM log WHERE id >= ? AND id < ? ORDER BY id LIMIT ?)",
        (from_id, owed[0], rows),
    ).fetchone()
    if not found:
        return None
    looked = Candidates(from_id, last, found, (), owed[1])
    if stage.name == "history":
        return looked
    where, arguments = _going(stage, looked)
    ends = db.execute(
        f"SELECT stream, min(id), max(id) FROM log WHERE {where} GROUP BY stream ORDER BY stream",  # noqa: S608 - no input in it
        arguments,
    ).fetchall()
    return looked._replace(pieces=[_piece(db, *end) for end in ends])


def _piece(db: sqlite3.Connection, stream: int, first_id: int, last_id: int) -> Piece:
    ends = [
        db.execute("SELECT seq, boot, mono FROM log WHERE id = ?", (id_,)).fetchone()
        for id_ in (first_id, last_id)
    ]
    (first, *began), (last, *ended) = ends
    return Piece(stream, first, last, *began, *ended)


def _going(stage: Stage, found: Candidates) -> tuple[str, list[int]]:
    """Return what a statement says of the rows in a piece that are to go."""
    ends = [found.first_id, found.last_id]
    if stage.name == "history":
        return f"id BETWEEN ? AND ? AND (id < ? OR meta != {EVENT_META})", [*ends, found.events_from]
    whole, thin = (f"stream IN ({','.join(map(str, streams))})" for streams in (stage.whole, stage.thin))
    which = f"({whole} OR ({thin} AND seq % {stage.every}))" if stage.thin else whole
    return f"id BETWEEN ? AND ? AND {which}", ends


def evict(db: sqlite3.Connection, eviction: Eviction, given: Checkpoint, now: Fixed) -> list[Recorded]:
    """Write the ledger and delete the rows, in one transaction. Written twice, it is done once.

    ``given``: what the uplinks have by now. Without it a row that one has just acknowledged, and that goes,
    would be owed after a crash, and look like damage.
    """
    where, arguments = _going(eviction.stage, eviction.found)
    with transaction(db):
        if db.execute(f"SELECT 1 FROM log WHERE {where} LIMIT 1", arguments).fetchone() is None:  # noqa: S608 - no input in it
            return [one for entry in eviction.entries for one in ledger.known(db, entry)]
        recorded = [
            one
            for entry, uplinks in eviction.entries.items()
            for one in ledger.declare(db, entry, tuple(uplinks), now)
        ]
        db.execute(f"DELETE FROM log WHERE {where}", arguments)  # noqa: S608 - no input in it
        ledger.count(db, eviction.gone, kept=True)
        write_delivery(db, given)
        seal(db)
    return recorded
