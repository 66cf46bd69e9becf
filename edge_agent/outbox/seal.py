"""Checksums over the schema and the small tables: what was numbered, what is owed, when, and what was lost.

A flipped bit in them would look like any other number: a reading would count as acknowledged that never was,
or get a wrong time. What all depends on has one seal, written by each transaction that changes it. A row of
the other tables is signed by itself, so that a wrong one does not take the others with it. Both are looked at
when the file is opened.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any
from zlib import crc32

_SEALED = (
    "SELECT name, sql FROM sqlite_schema ORDER BY name",
    "SELECT epoch, next_id, upto FROM outbox",
    "SELECT id, epoch, device, next_seq FROM stream ORDER BY id",
    "SELECT id, name, parked, everything, scan_from FROM uplink ORDER BY id",
    "SELECT * FROM delivery ORDER BY uplink, stream",
    "SELECT uplink, from_id, to_id FROM again ORDER BY uplink, from_id",
)
SIGNED = {
    "epoch": "id, name, site, gateway, origin",
    "meta": "id, device, hash, body",
    "apart": "uplink, stream, from_seq, to_seq",
    "loss": "id, stream, from_seq, to_seq, readings, from_boot, from_mono, to_boot, to_mono, reason, every",
    "loss_owed": "uplink, loss",
    "boot": "id, boot_id, ran_ms",
    "clock": "boot, from_mono, offset_ms",
}
"""By table the columns that a row's ``sum`` is over. SQL knows it as ``signed(column, ...)``.

A later minor version may have added columns, which this one neither reads nor signs.
"""


def prepare(db: sqlite3.Connection) -> None:
    """Let the SQL of a connection sign rows."""
    db.create_function("signed", -1, _signature, deterministic=True)


def seal(db: sqlite3.Connection) -> None:
    """Write the seal, as part of the transaction that changed something under it."""
    db.execute("UPDATE outbox SET seal = ?", (_sum(db),))


def sign(db: sqlite3.Connection, *tables: str) -> None:
    """Sign the new rows of these tables, as part of the transaction that wrote them."""
    for table in tables:
        db.execute(f"UPDATE {table} SET sum = signed({SIGNED[table]}) WHERE sum IS NULL")  # noqa: S608 - our own names


def is_sealed(db: sqlite3.Connection) -> bool:
    """Say whether what is sealed is as it was written."""
    row = db.execute("SELECT seal FROM outbox").fetchone()
    return row is not None and row[0] == _sum(db)


def all_signed(db: sqlite3.Connection) -> bool:
    """Say whether every row that carries a checksum is as it was written."""
    return all(right for table in SIGNED for _, right in rows(db, table))


def rows(db: sqlite3.Connection, table: str) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Yield the rows of a signed table, each with whether it is as it was written."""
    for *row, check in db.execute(f"SELECT {SIGNED[table]}, sum FROM {table}"):  # noqa: S608 - our own names
        yield tuple(row), check == _signature(*row)


def _signature(*row: str | int | None) -> int:
    return crc32(repr(row).encode())


def _sum(db: sqlite3.Connection) -> int:
    found = 0
    for question in _SEALED:
        found = crc32(repr(db.execute(question).fetchall()).encode(), found)
    return found
