"""The loss ledger: an entry for every range of readings given up, in the transaction that gives it up."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from edge_agent.outbox.seal import SIGNED
from edge_agent.row import Declared

LOSS_COLUMNS = SIGNED["loss"]
_MOST = 10_000  # entries that every uplink has acknowledged stay for so long


class Entry(NamedTuple):
    """What is to be declared. ``every``: the multiples of this number are not lost."""

    stream: int
    from_seq: int
    to_seq: int
    readings: int
    from_boot: int
    from_mono: int
    to_boot: int
    to_mono: int
    reason: str
    every: int | None = None


class Fixed(NamedTuple):
    """Which entries grow no more: by connected uplink the last that it has taken up, and settled ones.

    No checkpoint has those yet.
    """

    taken_up: Mapping[int, int] = {}
    entries: Collection[int] = ()


class Recorded(NamedTuple):
    """An entry as it stands in the ledger, and the uplinks to be told."""

    declared: Declared
    uplinks: tuple[int, ...]


def declare(db: sqlite3.Connection, entry: Entry, uplinks: Sequence[int], fixed: Fixed) -> list[Recorded]:
    """Write an entry. It is added to one that it touches and that its uplinks have not taken up yet."""
    if not uplinks:
        return [_inserted(db, entry, ())]
    now = [uplink for uplink in uplinks if uplink in fixed.taken_up]
    later = [uplink for uplink in uplinks if uplink not in fixed.taken_up]
    return [_added(db, entry, group, fixed) for group in (now, later) if group]


def count(db: sqlite3.Connection, lost: int, *, kept: bool) -> None:
    """Add to the totals, which outlive the entries. ``kept``: the readings had been on disk."""
    db.execute("UPDATE outbox SET lost = lost + ?, unkept = unkept + ?", (lost, 0 if kept else lost))


def known(db: sqlite3.Connection, entry: Entry) -> list[Recorded]:
    """Find the entries that were made by a transaction whose outcome was not heard."""
    rows = db.execute(
        f"SELECT {LOSS_COLUMNS} FROM loss WHERE stream = ? AND to_seq = ? AND reason = ?",  # noqa: S608 - our own names
        (entry.stream, entry.to_seq, entry.reason),
    ).fetchall()
    return [Recorded(Declared(*row), tuple(_owed(db, row[0]))) for row in rows]


def trim(db: sqlite3.Connection) -> None:
    """Let go of the oldest entries that nobody is owed any more."""
    db.execute(
        "DELETE FROM loss WHERE id < (SELECT max(id) FROM loss) - ? AND to_seq NOT NULL"
        " AND id NOT IN (SELECT loss FROM loss_owed)",
        (_MOST,),
    )


def _added(db: sqlite3.Connection, entry: Entry, uplinks: Sequence[int], fixed: Fixed) -> Recorded:
    id_ = _touching(db, entry, uplinks, fixed)
    return _inserted(db, entry, uplinks) if id_ is None else _grown(db, id_, entry, uplinks)


def _touching(db: sqlite3.Connection, entry: Entry, uplinks: Sequence[int], fixed: Fixed) -> int | None:
    """Find an entry of the same kind, owed to the same uplinks, right below this one.

    Of a thinned range the number between two that were given up may be one that was not.
    """
    found = db.execute(
        "SELECT id FROM loss WHERE stream = ? AND to_seq BETWEEN ? AND ? AND reason = ? AND every IS ?"
        " AND id > ?",
        (
            *(entry.stream, entry.from_seq - (entry.every or 1), entry.from_seq - 1),
            *(entry.reason, entry.every, max(fixed.taken_up.get(uplink, 0) for uplink in uplinks)),
        ),
    ).fetchall()
    for (id_,) in found:
        if id_ not in fixed.entries and _owed(db, id_) == sorted(uplinks):
            return int(id_)
    return None


def _owed(db: sqlite3.Connection, id_: int) -> list[int]:
    return sorted(uplink for (uplink,) in db.execute("SELECT uplink FROM loss_owed WHERE loss = ?", (id_,)))


def _inserted(db: sqlite3.Connection, entry: Entry, uplinks: Sequence[int]) -> Recorded:
    columns = LOSS_COLUMNS.removeprefix("id, ")
    id_ = db.execute(
        f"INSERT INTO loss ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
        entry,
    ).lastrowid
    assert id_ is not None
    _sign(db, id_)
    db.executemany(
        "INSERT INTO loss_owed (uplink, loss, sum) VALUES (?1, ?2, signed(?1, ?2))",
        [(uplink, id_) for uplink in uplinks],
    )
    return Recorded(Declared(id_, *entry), tuple(uplinks))


def _grown(db: sqlite3.Connection, id_: int, entry: Entry, uplinks: Sequence[int]) -> Recorded:
    row = db.execute(
        "UPDATE loss SET to_seq = ?, readings = readings + ?, to_boot = ?, to_mono = ? WHERE id = ?"  # noqa: S608 - our own names
        f" RETURNING {LOSS_COLUMNS}",
        (entry.to_seq, entry.readings, entry.to_boot, entry.to_mono, id_),
    ).fetchone()
    _sign(db, id_)
    return Recorded(Declared(*row), tuple(uplinks))


def _sign(db: sqlite3.Connection, id_: int) -> None:
    db.execute(f"UPDATE loss SET sum = signed({LOSS_COLUMNS}) WHERE id = ?", (id_,))  # noqa: S608 - our own names
