"""One checksum over the schema, and the small tables that say what was numbered and what is owed.

A flipped bit in them would look like any other number: a reading would count as acknowledged that never was.
The seal is written by each transaction that changes them, and looked at when the file is opened.
"""

import sqlite3
from zlib import crc32

_SEALED = (
    "SELECT name, sql FROM sqlite_schema ORDER BY name",
    "SELECT epoch, next_id, upto FROM outbox",
    "SELECT id, epoch, device, next_seq FROM stream ORDER BY id",
    "SELECT id, name, scan_from FROM uplink ORDER BY id",
    "SELECT * FROM delivery ORDER BY uplink, stream",
)


def seal(db: sqlite3.Connection) -> None:
    """Write the seal, as part of the transaction that changed something under it."""
    db.execute("UPDATE outbox SET seal = ?", (_sum(db),))


def is_sealed(db: sqlite3.Connection) -> bool:
    """Say whether the tables are as they were written."""
    row = db.execute("SELECT seal FROM outbox").fetchone()
    return row is not None and row[0] == _sum(db)


def _sum(db: sqlite3.Connection) -> int:
    found = 0
    for question in _SEALED:
        found = crc32(repr(db.execute(question).fetchall()).encode(), found)
    return found
