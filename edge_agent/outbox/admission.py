"""Which uplinks there are, and what a new one is owed of what was kept before it: nothing, or all of it."""

import sqlite3
from collections.abc import Iterable, Mapping
from itertools import pairwise

from edge_agent.outbox import events, exclusions
from edge_agent.outbox.opened import Admitted, Opened
from edge_agent.outbox.policy import Selection
from edge_agent.outbox.ranges import Ranges
from edge_agent.outbox.stream_delivery import DeliveryRow
from edge_agent.row import Stream

GONE = -1  # uplink.parked: given up


def admit(db: sqlite3.Connection, opened: Opened, uplinks: Mapping[str, Selection]) -> None:
    """Note the uplinks of this run, and which are gone; read what they were given. Inside a transaction."""
    nobody = not db.execute("SELECT 1 FROM uplink").fetchone()
    salvaged = nobody and db.execute("SELECT 1 FROM loss").fetchone()  # what they had is not known any more
    streams = opened.streams
    for name, selection in uplinks.items():
        new = db.execute("INSERT OR IGNORE INTO uplink (name) VALUES (?)", (name,)).rowcount
        uplink, parked = db.execute("SELECT id, parked FROM uplink WHERE name = ?", (name,)).fetchone()
        scan_from = opened.next_id
        if salvaged:
            _begin_again(db, uplink, streams.values(), selection)
            scan_from = 1
        elif new and selection.begin == "oldest":
            _begin_oldest(db, uplink, streams, selection)
            scan_from = 1
        elif new or parked == GONE:
            _begin_now(db, uplink, streams.values())
        else:
            scan_from = 0
        db.execute(
            "UPDATE uplink SET parked = NULL, everything = ?, scan_from = max(scan_from, ?) WHERE id = ?",
            (selection.devices is None, scan_from, uplink),
        )
    names = list(uplinks)
    db.execute(
        f"UPDATE uplink SET parked = ? WHERE parked IS NULL AND name NOT IN ({','.join('?' * len(names))})",  # noqa: S608 - places
        (sum(opened.ran_ms.values()), *names),
    )
    for name, parked, *row in db.execute(
        "SELECT name, parked, id, scan_from, session, acknowledged, everything FROM uplink"
    ):
        if parked != GONE:
            opened.uplinks[name] = Admitted(*row)
        if parked not in (None, GONE):
            opened.parked[name] = parked
    for uplink, stream, *written in db.execute(
        "SELECT uplink, stream, settled, beyond, given_up FROM delivery"
    ):
        opened.delivery[uplink, stream] = DeliveryRow(*written)
    for uplink, from_id, to_id in db.execute("SELECT uplink, from_id, to_id FROM again"):
        opened.repairs.setdefault(uplink, []).append((from_id, to_id))
    opened.exclusions = exclusions.load(db)
    opened.last_events, opened.retired = events.known(db)


def _begin_now(db: sqlite3.Connection, uplink: int, streams: Iterable[Stream]) -> None:
    """Owe an uplink nothing of what was kept before."""
    exclusions.put(
        db, uplink, ((stream.id, 1, stream.next_seq - 1) for stream in streams if stream.next_seq > 1)
    )


def _begin_oldest(
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
            exclusions.put(db, uplink, [(stream.id, 1, None)])
            continue
        first, last, count = kept.get(stream.id, (stream.next_seq, stream.next_seq - 1, 0))
        ledger = _declare(db, uplink, stream, first)
        ends = [(1, first - 1), (last + 1, stream.next_seq - 1)]
        inner = _gaps(db, stream) if count < last - first + 1 else ()
        gaps = (gap for gap in (*ends, *inner) if gap[0] <= gap[1] and not ledger.covers(*gap))
        exclusions.put(db, uplink, ((stream.id, *gap) for gap in gaps))


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


def _begin_again(
    db: sqlite3.Connection, uplink: int, streams: Iterable[Stream], selection: Selection
) -> None:
    """Owe an uplink whatever there is of its devices: what it had is not known any more."""
    theirs = [stream.id for stream in streams if stream.device in selection]
    places = ",".join("?" * len(theirs))
    db.execute(
        f"INSERT INTO loss_owed (uplink, loss) SELECT ?, id FROM loss WHERE stream IN ({places})",  # noqa: S608 - places
        (uplink, *theirs),
    )
    exclusions.put(db, uplink, [(stream.id, 1, None) for stream in streams if stream.device not in selection])
