"""What the outbox file is asked: each function is one question, and changes nothing.

Rows of the log are checked as they are read.
"""

import sqlite3

from edge_agent.outbox.ledger import LOSS_COLUMNS
from edge_agent.outbox.store import DamagedError
from edge_agent.row import Declared, Row, intact

LOG_COLUMNS = "id, stream, seq, boot, mono, meta, body, sum"
"""Named wherever they are used: a later minor version may have added columns."""


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


def descriptions(db: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    """Return every description by id: its hash and its body."""
    return {id_: (hash_, body) for id_, hash_, body in db.execute("SELECT id, hash, body FROM meta")}


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
