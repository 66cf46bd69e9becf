"""An outbox that was damaged, restored or lost its end: what can be read moves on, what cannot is declared.

A damaged file is set aside; its readable rows keep their epoch and numbers in a fresh file, and the old epoch
is closed in the loss ledger, from the last number that can be proven. New readings begin a new epoch.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal

from edge_agent.outbox import ballast, machine
from edge_agent.outbox.carve import carve
from edge_agent.outbox.epochs import close_others, new_epoch, recall
from edge_agent.outbox.policy import Identity
from edge_agent.outbox.queries import LOG_COLUMNS
from edge_agent.outbox.seal import SIGNED, all_signed, is_sealed, rows, seal, sign
from edge_agent.outbox.store import APPLICATION_ID, MAJOR, DiskError, is_damage, prepare
from edge_agent.outbox.witness import Testimony
from edge_agent.row import EVENT_META

log = logging.getLogger(__name__)

Verdict = Literal["sound", "behind", "damaged"]

_LOOK_EVERY = 10_000  # steps of SQLite's: some milliseconds
_CHECK_S = 5.0  # for looking through the file after an unclean end
_PLAUSIBLY_NEWER = 20  # major versions
_SEALED_TABLES = ("stream", "uplink", "delivery", "again")
_OTHER_TABLES = ("command", "memory", "told", "retired")


def set_aside(path: Path) -> Path:
    """Where a damaged outbox is kept for a person to look at. A later one replaces it."""
    return path.with_name(path.name + ".damaged")


def examine(path: Path, testimony: Testimony) -> Verdict:
    """Judge the file against what its witness remembers. Takes a few seconds at most.

    Raises:
        OutboxError: it is another program's database, or a newer agent's.
    """
    lived = testimony.runs > 0
    if not path.exists() or not path.stat().st_size:
        return "damaged" if lived else "sound"
    if testimony.state == "damaged":
        return "damaged"
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as db:
            return _judge(db, testimony)
    except UnicodeDecodeError:  # not even SQLite's error can be read
        return "damaged"
    except sqlite3.Error as error:
        if not lived and not is_damage(error):
            raise
        return "damaged"


def _judge(db: sqlite3.Connection, testimony: Testimony) -> Verdict:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:  # another program's, if this never was an outbox; opening it says so
        return "damaged" if testimony.runs else "sound"
    if MAJOR < version // 1000 <= MAJOR + _PLAUSIBLY_NEWER:  # opening it says so
        return "sound"
    if version // 1000 != MAJOR:
        return "damaged"
    if testimony.state == "open" and not _looks_whole(db):
        return "damaged"
    row = db.execute("SELECT runs, next_id, (SELECT max(id) FROM log) FROM outbox").fetchone()
    if row is None or not is_sealed(db) or not all_signed(db):
        return "damaged" if row or testimony.runs else "sound"
    runs, next_id, last_id = row
    behind = runs < testimony.runs or max(next_id, (last_id or 0) + 1) < testimony.next_id
    return "behind" if behind or _is_copy(runs, testimony) else "sound"


def _is_copy(runs: int, testimony: Testimony) -> bool:
    """Say whether the file came here from elsewhere: from where it may still be numbering readings."""
    if not testimony.runs:  # its witness did not come along
        return bool(runs)
    here = machine.fingerprint()
    return bool(testimony.machine and here) and testimony.machine != here


def _looks_whole(db: sqlite3.Connection) -> bool:
    limit = time.monotonic() + _CHECK_S
    db.set_progress_handler(lambda: time.monotonic() > limit, 10_000)
    try:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:  # out of time: a large file, and no fault so far
        return True
    finally:
        db.set_progress_handler(None, 0)
    return bool(found == "ok")


def salvage(
    path: Path, testimony: Testimony, identity: Identity, given_up: Callable[[], bool] = lambda: False
) -> None:
    """Move all readable rows to a fresh file, and close the old epochs in its ledger.

    May be interrupted at any point, as by ``given_up``, and is then done again. The witness must say
    "damaged" already. The disk must have room for the file once more.

    Raises:
        DiskError: the fresh file cannot be written now.
    """
    aside, fresh = set_aside(path), path.with_name(path.name + ".fresh")
    wal, aside_wal = Path(f"{path}-wal"), Path(f"{aside}-wal")
    for leftover in (fresh, f"{fresh}-wal", f"{fresh}-shm"):
        Path(leftover).unlink(missing_ok=True)
    _need_room(path, path if path.exists() else aside, wal if wal.exists() else aside_wal)
    if path.exists():
        if not wal.exists():
            aside_wal.unlink(missing_ok=True)  # of an earlier salvage
        path.replace(aside)
    if wal.exists():  # also where an earlier try came no further
        wal.replace(aside_wal)
    for leftover in (f"{path}-shm", f"{aside}-shm"):
        Path(leftover).unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(fresh, isolation_level=None)) as new:
            prepare(new, fresh)
            new.execute("PRAGMA journal_mode=OFF")  # or the disk would have to hold it all once more
            new.execute("PRAGMA synchronous=OFF")  # synced once, below
            new.set_progress_handler(given_up, _LOOK_EVERY)
            new.execute("BEGIN IMMEDIATE")
            moved = _move(aside, new, testimony, identity)
            new.execute("COMMIT")
        _sync(fresh)
        fresh.replace(path)
        _sync(path.parent)
    except (sqlite3.Error, OSError) as error:
        fresh.unlink(missing_ok=True)
        raise DiskError(f"{path}: is damaged, and cannot be salvaged here ({error}); free space") from error
    log.warning("outbox: %s was damaged; %d readings were salvaged, the rest is declared lost", path, moved)


def _need_room(path: Path, *files: Path) -> None:
    needed = sum(file.stat().st_size for file in files if file.exists())
    for last in (False, True):
        free = _free(path)
        if free >= needed:
            return
        if last or not ballast.drop(path):
            raise DiskError(
                f"{path}: is damaged, and salvaging it takes {needed / 1e6:.1f} MB more, of which "
                f"{free / 1e6:.1f} MB are free; free space"
            )


def _free(path: Path) -> int:
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize


def _move(aside: Path, new: sqlite3.Connection, testimony: Testimony, identity: Identity) -> int:
    with closing(sqlite3.connect(f"file:{aside}?mode=ro", uri=True, isolation_level=None)) as old:
        for table in SIGNED:  # where nothing can be read of them, the witness and the pages remain
            _move_signed(old, new, table)
        for table in (*_SEALED_TABLES, *_OTHER_TABLES):
            _move_table(old, new, table)
        if not _is_sealed(old):  # what they say of numbers and debts may be wrong: all is owed
            for table in ("delivery", "again"):
                new.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            new.execute("UPDATE uplink SET scan_from = 1, parked = NULL")
            new.execute("UPDATE stream SET next_seq = 1")
    recall(new, testimony)
    streams = {id_ for (id_,) in new.execute("SELECT id FROM stream")}
    metas = {EVENT_META, *(id_ for (id_,) in new.execute("SELECT id FROM meta"))}
    new.executemany(
        f"INSERT OR IGNORE INTO log ({LOG_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
        (row for row in carve(aside) if row.stream in streams and row.meta in metas),
    )
    _fill_in(new)
    moved, last_id = new.execute("SELECT count(*), max(id) FROM log").fetchone()
    next_id = max(testimony.next_id, (last_id or 0) + 1)
    epoch = new_epoch(new, *identity, "salvaged")
    new.execute(
        "INSERT INTO outbox (one, epoch, next_id, upto, runs, lost, unkept) SELECT 1, ?, ?, ?, ?,"
        " ifnull(sum(readings), 0), ifnull(sum(readings) FILTER (WHERE reason = 'overflow' AND stream IN"
        " (SELECT id FROM stream WHERE kind = 'reading')), 0) FROM loss",
        (epoch, next_id, next_id - 1, testimony.runs),
    )
    close_others(new, epoch)
    sign(new, *SIGNED)
    seal(new)
    return int(moved)


def _fill_in(new: sqlite3.Connection) -> None:
    """Stand in for what rows refer to and is lost: a boot without a time, an epoch without its name."""
    new.execute(
        "INSERT OR IGNORE INTO epoch (id, name, site, gateway, origin)"
        " SELECT DISTINCT epoch, 'lost-' || epoch, '', '', 'salvaged' FROM stream"
    )
    new.execute(
        "INSERT OR IGNORE INTO boot (id, boot_id) SELECT boot, 'lost-' || boot FROM"
        " (SELECT boot FROM log UNION SELECT boot FROM clock UNION SELECT from_boot FROM loss"
        " UNION SELECT to_boot FROM loss) WHERE boot NOT NULL"
    )
    for table in ("loss", "delivery", "apart"):
        new.execute(f"DELETE FROM {table} WHERE stream NOT IN (SELECT id FROM stream)")  # noqa: S608 - our own names
    new.execute("DELETE FROM loss_owed WHERE loss NOT IN (SELECT id FROM loss)")


def _is_sealed(old: sqlite3.Connection) -> bool:
    try:
        return is_sealed(old)
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False


def _move_signed(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> None:
    """Copy the rows of a small table that are as they were written."""
    places = ",".join("?" * (SIGNED[table].count(",") + 1))
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        for row, right in rows(old, table):
            if right:
                new.execute(f"INSERT INTO {table} ({SIGNED[table]}) VALUES ({places})", row)  # noqa: S608


def _move_table(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> None:
    """Copy what can be read of a small table. A row that breaks a rule of the schema is no row of ours."""
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        cursor = old.execute(f"SELECT * FROM {table}")  # noqa: S608 - one of our own names
        columns = [name for name, *_ in cursor.description]  # fewer, where an older agent made it
        if not {name for _, name, *_ in new.execute(f"PRAGMA table_info({table})")}.issuperset(columns):
            return
        into = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({','.join('?' * len(columns))})"  # noqa: S608
        for row in cursor:
            with suppress(sqlite3.DatabaseError):
                new.execute(into, row)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
