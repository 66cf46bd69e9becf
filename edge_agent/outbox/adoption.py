"""A volatile outbox of a card that was mended: what it holds moves into the durable one, as it is numbered.

It lies in memory, so that all of it belongs to the running boot. Its epoch, its numbers, and who is owed what
of them stay; only the ids by which the tables refer to one another become others.
"""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_agent.outbox import device_memory, events, volatile
from edge_agent.outbox.commands import carry_over
from edge_agent.outbox.queries import LOG_COLUMNS
from edge_agent.outbox.seal import SIGNED, all_signed, is_sealed, prepare, seal, sign
from edge_agent.outbox.store import OutboxError, lock, transaction
from edge_agent.row import EVENT_META, Row, checksum, intact

log = logging.getLogger(__name__)

_NEXT = "1 + ifnull((SELECT max(id) FROM log), 0)"
_FILES = ("", "-wal", "-shm", ".ballast", ".damaged", ".damaged-wal")


def adopt(db: sqlite3.Connection, path: Path) -> None:
    """Move everything from the outbox at ``path``, if there is one, and remove it. May be done again.

    First it gets another name: should the card fall once more, nothing is appended to what was moved.
    """
    aside = volatile.aside(path)
    try:
        if aside.exists():
            _take(aside, db)
        if not aside.exists() and _set_aside(path, aside, db):
            _take(aside, db)
    except (sqlite3.Error, OutboxError, OSError) as error:
        log.error("outbox: what was kept in memory, in %s, cannot be taken over now (%s)", path, error)  # noqa: TRY400 - the disk's fault


def _take(aside: Path, db: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(aside, isolation_level=None)) as old, transaction(db):
        moved = _move(old, db) if _same_place(old, db) else None
    if moved is None:
        return
    aside.unlink()
    if moved:
        log.warning("outbox: %d readings that were kept in memory are on the card now", moved)


def _set_aside(path: Path, aside: Path, db: sqlite3.Connection) -> bool:
    """Give it another name, as one file; return whether it is there, and is for this outbox.

    Raises:
        OutboxError: another agent uses it.
        sqlite3.Error: it is damaged.
    """
    if not path.exists():
        return False
    descriptor = lock(path)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as old:
            prepare(old)
            if not (is_sealed(old) and all_signed(old)):
                raise sqlite3.DatabaseError("it is damaged")
            if not _same_place(old, db):
                return False
            old.execute("PRAGMA journal_mode=DELETE")
        path.with_name(path.name + ".witness").unlink()  # else the next one there would seem to be damaged
        path.replace(aside)
        for suffix in _FILES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return True


def _same_place(old: sqlite3.Connection, new: sqlite3.Connection) -> bool:
    """Say whether both were numbered under the same site and gateway."""
    question = "SELECT site, gateway FROM epoch JOIN outbox ON epoch = epoch.id"
    return bool(old.execute(question).fetchone() == new.execute(question).fetchone())


def _move(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """Return how many readings were moved."""
    (name,) = old.execute("SELECT name FROM epoch JOIN outbox ON epoch = epoch.id").fetchone()
    if new.execute("SELECT 1 FROM epoch WHERE name = ?", (name,)).fetchone():
        return 0  # it was taken over before
    before = [(id_, next_seq) for id_, next_seq in new.execute("SELECT id, next_seq FROM stream")]
    epochs = _mapped(old, new, "epoch", "name", ("name", "site", "gateway", "origin"))
    boots = _mapped(old, new, "boot", "boot_id", ("boot_id", "ran_ms"))
    metas = _mapped(old, new, "meta", "device, hash", ("device", "hash", "body")) | {EVENT_META: EVENT_META}
    streams: dict[int, int] = {}
    for id_, epoch, device, kind, next_seq in old.execute(
        "SELECT id, epoch, device, kind, max(next_seq, 1 + ifnull((SELECT max(seq) FROM log WHERE stream ="
        " stream.id), 0), 1 + ifnull((SELECT max(to_seq) FROM loss WHERE stream = stream.id), 0)) FROM stream"
    ):
        streams[id_] = _inserted(
            new, "stream (epoch, device, kind, next_seq)", (epochs[epoch], device, kind, next_seq)
        )
    uplinks = _uplinks(old, new, before)
    (base,) = new.execute(f"SELECT max(next_id, {_NEXT}) FROM outbox").fetchone()  # noqa: S608 - our own names

    def rows() -> Iterator[tuple[Any, ...]]:
        found = old.execute(f"SELECT {LOG_COLUMNS} FROM log ORDER BY id")  # noqa: S608 - our own names
        for row in map(Row._make, found):
            if not intact(row):
                raise sqlite3.DatabaseError(f"row {row.id} is not as it was written")
            id_, stream, seq, boot, mono, meta, body, _ = row
            content = (base + id_, streams[stream], seq, boots[boot], mono, metas[meta], body)
            yield (*content, checksum(*content))

    into = f"INSERT INTO log ({LOG_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own names
    moved = new.executemany(into, rows()).rowcount
    _copy(old, new, "clock (boot, from_mono, offset_ms)", lambda row: (boots[row[0]], *row[1:]))
    _copy(
        old, new, "delivery (uplink, stream, settled, beyond, given_up)",
        lambda row: (uplinks[row[0]], streams[row[1]], *row[2:]),
    )  # fmt: skip
    _copy(
        old, new, "apart (uplink, stream, from_seq, to_seq)",
        lambda row: (uplinks[row[0]], streams[row[1]], *row[2:]),
    )  # fmt: skip
    _copy(
        old, new, "again (uplink, from_id, to_id)",
        lambda row: (uplinks[row[0]], base + row[1], base + row[2]),
    )  # fmt: skip
    losses = _losses(old, new, streams, boots)
    _copy(old, new, "loss_owed (uplink, loss)", lambda row: (uplinks[row[0]], losses[row[1]]))
    carry_over(old, new)
    device_memory.carry_over(old, new)
    events.carry_over(old, new, streams, uplinks)
    lost, unkept, next_id = old.execute("SELECT lost, unkept, next_id FROM outbox").fetchone()
    new.execute(
        f"UPDATE outbox SET lost = lost + ?, unkept = unkept + ?, next_id = max(?, {_NEXT})",  # noqa: S608 - our own names
        (lost, unkept, base + next_id),
    )
    sign(new, *SIGNED)
    seal(new)
    return int(moved)


def _uplinks(
    old: sqlite3.Connection, new: sqlite3.Connection, before: list[tuple[int, int]]
) -> dict[int, int]:
    """Match the uplinks by name. One that the durable outbox does not know is owed nothing of it."""
    found = {}
    for id_, name, everything in old.execute("SELECT id, name, everything FROM uplink"):
        known = new.execute("SELECT id FROM uplink WHERE name = ?", (name,)).fetchone()
        if known is None:
            known = (_inserted(new, "uplink (name, everything)", (name, everything)),)
            new.executemany(
                "INSERT INTO apart (uplink, stream, from_seq, to_seq) VALUES (?, ?, 1, ?)",
                [(known[0], stream, next_seq - 1) for stream, next_seq in before if next_seq > 1],
            )
        found[id_] = int(known[0])
    return found


def _losses(
    old: sqlite3.Connection, new: sqlite3.Connection, streams: dict[int, int], boots: dict[int, int]
) -> dict[int, int]:
    columns = SIGNED["loss"].removeprefix("id, ")
    found = {}
    for id_, stream, first, last, readings, boot, mono, to_boot, *rest in old.execute(
        f"SELECT id, {columns} FROM loss ORDER BY id"  # noqa: S608 - our own names
    ):
        begun, ended = (None if of is None else boots[of] for of in (boot, to_boot))
        row = (streams[stream], first, last, readings, begun, mono, ended, *rest)
        found[id_] = _inserted(new, f"loss ({columns})", row)
    return found


def _mapped(
    old: sqlite3.Connection, new: sqlite3.Connection, table: str, key: str, columns: tuple[str, ...]
) -> dict[int, int]:
    """Copy rows that are not there yet; return the new id of each by its old one."""
    found = {}
    names = ", ".join(columns)
    same = " AND ".join(f"{name} = ?" for name in key.split(", "))
    keys = len(key.split(", "))
    for id_, *row in old.execute(f"SELECT id, {names} FROM {table}"):  # noqa: S608 - our own names
        known = new.execute(f"SELECT id FROM {table} WHERE {same}", row[:keys]).fetchone()  # noqa: S608
        found[id_] = known[0] if known else _inserted(new, f"{table} ({names})", tuple(row))
    return found


def _copy(
    old: sqlite3.Connection,
    new: sqlite3.Connection,
    what: str,
    mapped: Callable[[tuple[Any, ...]], tuple[Any, ...]],
) -> None:
    table, _, columns = what.partition(" ")
    for row in old.execute(f"SELECT {columns.strip('()')} FROM {table}"):  # noqa: S608 - our own names
        made = mapped(row)
        new.execute(f"INSERT OR IGNORE INTO {what} VALUES ({','.join('?' * len(made))})", made)  # noqa: S608


def _inserted(db: sqlite3.Connection, what: str, row: tuple[Any, ...]) -> int:
    id_ = db.execute(f"INSERT INTO {what} VALUES ({','.join('?' * len(row))})", row).lastrowid  # noqa: S608 - our own names
    assert id_ is not None
    return id_
