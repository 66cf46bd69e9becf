"""The first transaction of a run: what the file says, and that a run begins."""

import sqlite3
from collections.abc import Mapping

from edge_agent.clock import Clock
from edge_agent.outbox import device_memory
from edge_agent.outbox.admission import admit
from edge_agent.outbox.epochs import close_others, new_epoch, recall
from edge_agent.outbox.opened import Opened
from edge_agent.outbox.policy import Identity, Selection
from edge_agent.outbox.seal import SIGNED, seal, sign
from edge_agent.outbox.store import OutboxError, transaction
from edge_agent.outbox.transactions import ran_to
from edge_agent.outbox.witness import Testimony
from edge_agent.row import Stream


def begin_run(
    db: sqlite3.Connection,
    identity: Identity,
    clock: Clock,
    uplinks: Mapping[str, Selection],
    behind: Testimony | None,
) -> Opened:
    """Write that a run begins, and read all that this run needs to know.

    ``behind`` is what the witness knows when the file is older than it: then a new epoch begins.

    Raises:
        OutboxError: the readings in it were numbered under another site or gateway.
    """
    with transaction(db):
        opened = _begin(db, identity, clock, behind)
        admit(db, opened, uplinks)
        opened.device_memory = device_memory.read(db)
        sign(db, *SIGNED)
        seal(db)
    return opened


def _begin(db: sqlite3.Connection, identity: Identity, clock: Clock, behind: Testimony | None) -> Opened:
    if db.execute("SELECT 1 FROM outbox").fetchone() is None:
        epoch = new_epoch(db, *identity, "created")
        db.execute("INSERT INTO outbox (one, epoch, next_id) VALUES (1, ?, 1)", (epoch,))
    epoch, next_id, upto, runs = db.execute("SELECT epoch, next_id, upto, runs + 1 FROM outbox").fetchone()
    first, last = db.execute("SELECT (SELECT min(id) FROM log), (SELECT max(id) FROM log)").fetchone()
    next_id = max(next_id, (last or 0) + 1)
    if behind is not None:
        recall(db, behind)
        lost_its_end = runs == behind.runs + 1 and next_id < behind.next_id
        epoch = new_epoch(db, *identity, "salvaged" if lost_its_end else "restored")
        next_id, runs = max(next_id, behind.next_id), max(runs, behind.runs + 1)
        close_others(db, epoch)
    name, *was = db.execute("SELECT name, site, gateway FROM epoch WHERE id = ?", (epoch,)).fetchone()
    if tuple(was) != identity:
        raise OutboxError(
            f"its readings are numbered under site {was[0]!r}, gateway {was[1]!r}; "
            "set gateway.site and gateway.id back, or change outbox.path to begin a new outbox"
        )
    known = streams(db, upto)
    # Counted here for good: the next checkpoint tells only of streams that append, yet moves upto past them.
    counted = [(stream.next_seq, stream.id) for stream in known.values()]
    db.executemany("UPDATE stream SET next_seq = ? WHERE id = ?", counted)
    db.execute(
        "UPDATE outbox SET epoch = ?, next_id = ?, upto = ?, runs = ?", (epoch, next_id, next_id - 1, runs)
    )
    db.execute("INSERT OR IGNORE INTO boot (boot_id) VALUES (?)", (clock.boot_id,))
    (boot,) = db.execute("SELECT id FROM boot WHERE boot_id = ?", (clock.boot_id,)).fetchone()
    ran_to(db, boot, clock.mono_ms())
    pieces: dict[int, list[tuple[int, int]]] = {}
    for of, from_mono, offset in db.execute("SELECT boot, from_mono, offset_ms FROM clock ORDER BY 1, 2"):
        pieces.setdefault(of, []).append((from_mono, offset))
    ran_ms = dict(db.execute("SELECT id, ran_ms FROM boot"))
    lost, unkept = db.execute("SELECT lost, unkept FROM outbox").fetchone()
    kept = sum(stream.next_seq - 1 for stream in known.values() if stream.kind == "reading") - unkept
    return Opened(
        name,
        next_id,
        first or next_id,
        boot,
        ran_ms,
        pieces,
        known,
        runs,
        kept=kept,
        lost=lost,
    )


def streams(db: sqlite3.Connection, upto: int) -> dict[int, Stream]:
    """Read the streams, and count what was appended to them after the last checkpoint."""
    found = {
        id_: Stream(id_, epoch, device, next_seq, kind)
        for id_, epoch, device, next_seq, kind in db.execute(
            "SELECT stream.id, epoch.name, device, next_seq, kind FROM stream"
            " JOIN epoch ON epoch.id = stream.epoch"
        )
    }
    for id_, top in db.execute("SELECT stream, max(seq) FROM log WHERE id > ? GROUP BY stream", (upto,)):
        found[id_].next_seq = max(found[id_].next_seq, top + 1)
    for id_, top in db.execute("SELECT stream, max(to_seq) FROM loss WHERE to_seq NOT NULL GROUP BY stream"):
        found[id_].next_seq = max(found[id_].next_seq, top + 1)
    return found
