"""What is done in the outbox file: each function here is one transaction, or one question."""

import sqlite3
import sys
from collections.abc import Mapping, Sequence
from itertools import chain

from edge_agent.outbox import device_memory, events, ledger
from edge_agent.outbox.batch import Batch, Checkpoint, Loss
from edge_agent.outbox.ledger import Entry, Fixed, Recorded
from edge_agent.outbox.queries import LOG_COLUMNS
from edge_agent.outbox.seal import SIGNED, seal
from edge_agent.outbox.store import transaction
from edge_agent.outbox.timeline import MOST_PIECES
from edge_agent.row import Declared, Row

MOST_QUARANTINED = 1_000
_ROWS_PER_STATEMENT = (1024, 256, 64, 16, 4, 1)  # few: each statement is remembered, any number takes 15 MB

_FORGET_PIECES = (
    "DELETE FROM clock WHERE boot = ?1 AND from_mono > (SELECT min(from_mono) FROM clock WHERE boot = ?1)"
    " AND from_mono < (SELECT from_mono FROM clock WHERE boot = ?1 ORDER BY from_mono DESC LIMIT 1 OFFSET ?2)"
)
_FORGET_DEBT = (  # but not where it has grown since it was sent
    "DELETE FROM loss_owed WHERE uplink = ?1 AND loss = ?2"
    " AND EXISTS (SELECT 1 FROM loss WHERE id = ?2 AND to_seq IS ?3)"
)


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


def write(
    db: sqlite3.Connection, batch: Batch, uplinks: Mapping[int, Sequence[int]], fixed: Fixed
) -> list[Recorded]:
    """Write one batch, whole or not at all; return the ledger entries it recorded.

    ``uplinks`` says by stream who is owed them, ``fixed`` which entries grow no more.

    Written twice, it is kept once: a commit whose outcome was not heard may simply be repeated.
    """
    with transaction(db):
        if _is_written(db, batch):
            recorded = [one for loss in batch.losses for one in ledger.known(db, _entry(loss))]
        else:
            insert(db, batch.rows)
            if batch.events:
                events.note(db, batch.events)
            recorded = [
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
        device_memory.write(db, batch.device_memory)
        for ack in batch.loss_acks:
            db.execute(_FORGET_DEBT, ack)
        if batch.checkpoint is not None:
            _write_checkpoint(db, batch.checkpoint)
            ledger.trim(db)
        if batch.drop_below:
            db.execute("DELETE FROM log WHERE id < ?", (batch.drop_below,))
    return recorded


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


def _write_checkpoint(db: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    for stream, next_seq in checkpoint.next_seq.items():  # all that appended, before upto moves
        db.execute("UPDATE stream SET next_seq = ? WHERE id = ?", (next_seq, stream))
    db.execute("UPDATE outbox SET next_id = ?, upto = ?", (checkpoint.next_id, checkpoint.next_id - 1))
    for uplink, scan_from in checkpoint.scan_from.items():
        db.execute("UPDATE uplink SET scan_from = ? WHERE id = ?", (scan_from, uplink))
    write_delivery(db, checkpoint)
    ran_to(db, checkpoint.boot, checkpoint.ran_ms)
    seal(db)


def write_delivery(db: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    """Write what the uplinks were given, before rows go on the strength of that. The caller seals."""
    for uplink, counted in checkpoint.acknowledged.items():
        db.execute("UPDATE uplink SET acknowledged = ? WHERE id = ?", (counted, uplink))
    for of, written in checkpoint.delivery.items():
        db.execute(
            "INSERT OR REPLACE INTO delivery (uplink, stream, settled, beyond, given_up)"
            " VALUES (?, ?, ?, ?, ?)",
            (*of, *written),
        )
    for uplink, runs in checkpoint.repairs.items():
        db.execute("DELETE FROM again WHERE uplink = ?", (uplink,))
        db.executemany(
            "INSERT INTO again (uplink, from_id, to_id) VALUES (?, ?, ?)", [(uplink, *run) for run in runs]
        )


def ran_to(db: sqlite3.Connection, boot: int, mono_ms: int) -> None:
    """Note how long a boot ran."""
    db.execute("UPDATE boot SET ran_ms = max(ran_ms, ?) WHERE id = ?", (mono_ms, boot))
    db.execute(f"UPDATE boot SET sum = signed({SIGNED['boot']}) WHERE id = ?", (boot,))  # noqa: S608 - our own names


def count_session(db: sqlite3.Connection, uplink: int, last: int) -> int:
    """Count one more CONNECT of an uplink, and return the count: above ``last``, and never twice the same."""
    (session,) = db.execute(
        "UPDATE uplink SET session = max(session, ?) + 1 WHERE id = ? RETURNING session", (last, uplink)
    ).fetchone()
    return int(session)
