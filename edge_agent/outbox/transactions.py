"""What is done in the outbox file: each function here is one transaction, or one question."""

import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

from edge_agent.outbox import device_memory, events, ledger
from edge_agent.outbox.ledger import LOSS_COLUMNS, Entry, Fixed, Made
from edge_agent.outbox.rows import LOG_COLUMNS, Batch, Checkpoint, Loss
from edge_agent.outbox.seal import SIGNED, seal
from edge_agent.outbox.store import DamagedError
from edge_agent.outbox.timeline import MOST_PIECES
from edge_agent.row import Declared, Row, intact

MOST_QUARANTINED = 1_000
_ROWS_PER_STATEMENT = (1024, 256, 64, 16, 4, 1)  # few: each statement is remembered, any number takes 15 MB

_FORGET_PIECES = (
    "DELETE FROM clock WHERE boot = ?1 AND from_mono > (SELECT min(from_mono) FROM clock WHERE boot = ?1)"
    " AND from_mono < (SELECT from_mono FROM clock WHERE boot = ?1 ORDER BY from_mono DESC LIMIT 1 OFFSET ?2)"
)
_HEARD = (  # but not where it has grown since it was sent
    "DELETE FROM loss_owed WHERE uplink = ?1 AND loss = ?2"
    " AND EXISTS (SELECT 1 FROM loss WHERE id = ?2 AND to_seq IS ?3)"
)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside, or take all of it back. An error of SQLite may have done that already."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def enroll(db: sqlite3.Connection, device: str, hash_: str, body: str) -> tuple[int, int]:
    """Give a device a stream in the present epoch and keep its description; return the ids of both.

    Inside a transaction, which signs and seals.
    """
    (epoch,) = db.execute("SELECT epoch FROM outbox").fetchone()
    db.execute("INSERT OR IGNORE INTO stream (epoch, device, kind) VALUES (?, ?, 'reading')", (epoch, device))
    db.execute("INSERT OR IGNORE INTO meta (device, hash, body) VALUES (?, ?, ?)", (device, hash_, body))
    (stream,) = db.execute(
        "SELECT id FROM stream WHERE epoch = ? AND device = ? AND kind = 'reading'", (epoch, device)
    ).fetchone()
    (meta,) = db.execute("SELECT id FROM meta WHERE device = ? AND hash = ?", (device, hash_)).fetchone()
    return stream, meta


def descriptions(db: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    """Return every description by id: its hash and its body."""
    return {id_: (hash_, body) for id_, hash_, body in db.execute("SELECT id, hash, body FROM meta")}


def write(
    db: sqlite3.Connection, batch: Batch, uplinks: Mapping[int, Sequence[int]], fixed: Fixed
) -> list[Made]:
    """Write one batch, whole or not at all; return the ledger entries it made.

    ``uplinks`` says by stream who is owed them, ``fixed`` which entries grow no more.

    Written twice, it is kept once: a commit whose outcome was not heard may simply be repeated.
    """
    with transaction(db):
        if _is_written(db, batch):
            made = [one for loss in batch.losses for one in ledger.known(db, _entry(loss))]
        else:
            insert(db, batch.rows)
            if batch.events:
                events.note(db, batch.events)
            made = [
                one
                for loss in batch.losses
                for one in ledger.declare(db, _entry(loss), uplinks[loss.stream], fixed)
            ]
            for loss in batch.losses:  # an event is not among the readings that were numbered
                ledger.count(db, loss.readings, kept=loss.stream == batch.event_stream)
        for piece in batch.pieces:
            db.execute(
                "INSERT OR REPLACE INTO clock (boot, from_mono, offset_ms, sum)"
                " VALUES (?1, ?2, ?3, signed(?1, ?2, ?3))",
                (batch.boot, *piece),
            )
        if batch.pieces:
            db.execute(_FORGET_PIECES, (batch.boot, MOST_PIECES - 2))
        device_memory.write(db, batch.memory)
        for heard in batch.loss_acks:
            db.execute(_HEARD, heard)
        if batch.checkpoint is not None:
            _mark(db, batch.checkpoint)
            ledger.trim(db)
        if batch.drop_below:
            db.execute("DELETE FROM log WHERE id < ?", (batch.drop_below,))
    return made


def _is_written(db: sqlite3.Connection, batch: Batch) -> bool:
    """Say whether a commit whose outcome was not heard did happen. Neither ids nor numbers come twice."""
    if batch.rows:
        return db.execute("SELECT 1 FROM log WHERE id = ?", (batch.rows[-1].id,)).fetchone() is not None
    return bool(batch.losses) and bool(ledger.known(db, _entry(batch.losses[-1])))


def _entry(loss: Loss) -> Entry:
    return Entry(
        loss.stream, loss.from_seq, loss.to_seq, loss.readings,
        loss.boot, loss.from_mono, loss.boot, loss.to_mono, loss.reason,
    )  # fmt: skip


def insert(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Append rows to the log."""
    at = 0
    for size in _ROWS_PER_STATEMENT:
        while len(rows) - at >= size:
            places = ",".join(("(?,?,?,?,?,?,?,?)",) * size)
            db.execute(
                f"INSERT INTO log ({LOG_COLUMNS}) VALUES {places}",  # noqa: S608 - no input in it
                tuple(chain.from_iterable(rows[at : at + size])),
            )
            at += size


def reject(db: sqlite3.Connection, uplink: int, row: Row, why: str) -> Declared:
    """Write one reading to the ledger of one uplink, and set a copy aside. The log row goes in its time."""
    with transaction(db):
        lost = Loss(row.stream, row.seq, row.seq, row.boot, row.mono_ms, row.mono_ms, "rejected")
        ((declared, _),) = ledger.declare(db, _entry(lost), (uplink,), Fixed({uplink: sys.maxsize}))
        ledger.count(db, 1, kept=True)
        db.execute("UPDATE loss SET detail = ? WHERE id = ?", (why, declared.id))
        db.execute(
            "INSERT INTO quarantine (loss, uplink, stream, seq, boot, mono, meta, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (declared.id, uplink, row.stream, row.seq, row.boot, row.mono_ms, row.meta, row.body),
        )
        db.execute("DELETE FROM quarantine WHERE loss <= ?", (declared.id - MOST_QUARANTINED,))
    return declared


def _mark(db: sqlite3.Connection, marks: Checkpoint) -> None:
    for stream, next_seq in marks.next_seq.items():  # all that appended, before upto moves
        db.execute("UPDATE stream SET next_seq = ? WHERE id = ?", (next_seq, stream))
    db.execute("UPDATE outbox SET next_id = ?, upto = ?", (marks.next_id, marks.next_id - 1))
    for uplink, scan_from in marks.scan_from.items():
        db.execute("UPDATE uplink SET scan_from = ? WHERE id = ?", (scan_from, uplink))
    mark_given(db, marks)
    ran_to(db, marks.boot, marks.ran_ms)
    seal(db)


def mark_given(db: sqlite3.Connection, marks: Checkpoint) -> None:
    """Write what the uplinks were given, before rows go on the strength of that. The caller seals."""
    for uplink, counted in marks.acknowledged.items():
        db.execute("UPDATE uplink SET acknowledged = ? WHERE id = ?", (counted, uplink))
    for of, written in marks.delivery.items():
        db.execute(
            "INSERT OR REPLACE INTO delivery (uplink, stream, settled, beyond, given_up)"
            " VALUES (?, ?, ?, ?, ?)",
            (*of, *written),
        )
    for uplink, runs in marks.repairs.items():
        db.execute("DELETE FROM again WHERE uplink = ?", (uplink,))
        db.executemany(
            "INSERT INTO again (uplink, from_id, to_id) VALUES (?, ?, ?)", [(uplink, *run) for run in runs]
        )


def ran_to(db: sqlite3.Connection, boot: int, mono_ms: int) -> None:
    """Note how long a boot ran."""
    db.execute("UPDATE boot SET ran_ms = max(ran_ms, ?) WHERE id = ?", (mono_ms, boot))
    db.execute(f"UPDATE boot SET sum = signed({SIGNED['boot']}) WHERE id = ?", (boot,))  # noqa: S608 - our own names


def read(db: sqlite3.Connection, from_id: int, to_id: int, limit: int) -> list[Row]:
    """Read a piece of the log, in its order, both ends included."""
    found = db.execute(
        f"SELECT {LOG_COLUMNS} FROM log WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",  # noqa: S608 - no input in it
        (from_id, to_id, limit),
    )
    made = list(map(Row._make, found))
    if not all(map(intact, made)):
        raise DamagedError(f"a row between {from_id} and {made[-1].id} is not as it was written")
    if len(made) < limit:  # a damaged page ends the way forward, and looks like the end: so look backward
        (top,) = db.execute("SELECT max(id) FROM log WHERE id BETWEEN ? AND ?", (from_id, to_id)).fetchone()
        if top != (made[-1].id if made else None):
            raise DamagedError(f"rows up to {top} cannot be reached")
    return made


def at(db: sqlite3.Connection, from_id: int) -> tuple[int, int, int] | None:
    """Return id, boot and monotonic time of the first row at or after an id."""
    found = db.execute(
        f"SELECT {LOG_COLUMNS} FROM log WHERE id >= ? ORDER BY id LIMIT 1",  # noqa: S608 - no input in it
        (from_id,),
    ).fetchone()
    if found is None:
        return None
    row = Row._make(found)
    if not intact(row):
        raise DamagedError(f"row {row.id} is not as it was written")
    return row.id, row.boot, row.mono_ms


def open_losses(db: sqlite3.Connection, uplink: int, above: int, limit: int) -> list[Declared]:
    """Return an uplink's open ledger entries above one, oldest first; limit -1: all."""
    rows = db.execute(
        f"SELECT {LOSS_COLUMNS} FROM loss JOIN loss_owed ON loss = id"  # noqa: S608 - no input in it
        " WHERE uplink = ? AND loss > ? ORDER BY loss LIMIT ?",
        (uplink, above, limit),
    ).fetchall()
    return [Declared(*row) for row in rows]


def count_session(db: sqlite3.Connection, uplink: int, last: int) -> int:
    """Count one more CONNECT of an uplink, and return the count: above ``last``, and never twice the same."""
    (session,) = db.execute(
        "UPDATE uplink SET session = max(session, ?) + 1 WHERE id = ? RETURNING session", (last, uplink)
    ).fetchone()
    return int(session)


def first_id(db: sqlite3.Connection) -> int | None:
    """Return the lowest log id, None where the log is empty."""
    (id_,) = db.execute("SELECT min(id) FROM log").fetchone()
    return None if id_ is None else int(id_)


def bytes_held(db: sqlite3.Connection) -> int:
    """How much of the file is in use. Freed pages are used again, and do not count."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)
