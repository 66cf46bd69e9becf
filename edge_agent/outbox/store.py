"""The SQLite file, opened, on a thread of its own. The only door to aiosqlite.

Work is done by functions of a ``sqlite3.Connection`` that run on the writer's thread, whole: one hop per
transaction. (Fetching or inserting row by row would hand over the interpreter lock once per row.)
"""

import fcntl
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

import aiosqlite

from edge_agent.outbox import seal

MAJOR, MINOR = 1, 3
APPLICATION_ID = 0x50415247  # "PARG"
PAGE_SIZE = 1024  # a commit of few readings writes few bytes
_CHECKPOINT_PAGES = 4096  # 4 MB
_CACHE_KB = 512  # a commit; what is written and read goes by once
_STOP_WITHIN = 10.0  # seconds
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)

P = ParamSpec("P")
R = TypeVar("R")


class OutboxError(Exception):
    """The outbox cannot be used. The message names the file and the remedy."""


class ReadOnlyError(Exception):
    """The card has turned read-only. Readings can go on only in another place."""


class DiskError(OutboxError):
    """The disk does not let the outbox be used now. It may later: try again."""


class DamagedError(Exception):
    """The file itself is damaged. Opening it again salvages what can be read."""


def is_damage(error: sqlite3.Error) -> bool:
    """Say whether an error means that the file itself is damaged, not that the disk is full or busy."""
    undecodable = str(error).startswith("Could not decode")
    return undecodable or getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


def is_no_space(error: sqlite3.Error) -> bool:
    """Say whether an error means that the disk is full."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


class Store(aiosqlite.Connection):
    """One SQLite connection on a thread of its own. ``on_damage`` hears before a DamagedError is raised."""

    on_damage: Callable[[], None] = staticmethod(lambda: None)

    async def run(
        self, work: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run ``work(connection, ...)`` on the writer's thread, and wait for it.

        Raises:
            DamagedError: the file is damaged.
            sqlite3.Error: it could not be done now.
        """
        execute: Callable[..., Awaitable[R]] = self._execute  # aiosqlite leaves it untyped
        try:
            return await execute(work, self._conn, *args, **kwargs)
        except DamagedError:
            self.on_damage()
            raise
        except UnicodeDecodeError as error:  # not even the error can be read
            self.on_damage()
            raise DamagedError(str(error)) from error
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self.on_damage()
            raise DamagedError(str(error)) from error

    async def ping(self) -> None:
        """Wait until the writer's thread has done all before this. A disk that refuses is an answer."""
        with suppress(ValueError):  # it is closed
            await self.run(lambda _db: None)

    async def opened(self) -> Self:
        """Start the thread and open the file."""
        try:
            await self
        except BaseException:
            self._thread.join(_STOP_WITHIN)  # it is on its way out, and must not outlive the loop
            raise
        return self


def lock(path: Path) -> int:
    """Make sure that no other agent uses this outbox; return the descriptor that holds the lock.

    Raises:
        OutboxError: another process holds it, or the folder cannot be written.
    """
    place = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        place = path.with_name(path.name + ".witness")
        # The folder is the service's: a link there would have root write, at a restore, wherever it leads.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place, flags, 0o640)
    except OSError as error:
        raise OutboxError(
            f"{place}: {error.strerror}; give the agent's user write permission on {path.parent} "
            "and the files in it, or change outbox.path"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            remedy = "another agent is using this outbox; stop it, or give this one its own outbox.path"
        else:
            remedy = f"cannot be locked ({error.strerror}); change outbox.path to a local disk"
        raise OutboxError(f"{path}: {remedy}") from None
    return descriptor


async def open_store(path: Path) -> Store:
    """Open the file, make it if it is not there, and check that it is an outbox of this major version.

    Raises:
        OutboxError: it is something else, was written by a newer agent, or cannot be read.
    """
    made: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        # also closed by another thread: the one that sees that nobody waits for it any more
        made.append(sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False))
        prepare(made[0], path)
        return made[0]

    try:
        return await Store(connect, iter_chunk_size=64).opened()
    except BaseException as error:
        for connection in made:
            connection.close()
        if not isinstance(error, sqlite3.Error):
            raise
        if is_damage(error):
            raise DamagedError(str(error)) from error
        raise OutboxError(
            f"{path}: cannot be opened as an outbox ({error}); "
            "check the disk, or move the file away to start a new one"
        ) from None


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Set a connection up, and make the tables of a new file.

    Raises:
        OutboxError: the file is another program's, or a newer agent's.
    """
    seal.prepare(db)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    empty = version == 0 and application == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchone()
    if not empty and application != APPLICATION_ID:
        raise OutboxError(f"{path}: is a database of another program; change outbox.path")
    if not empty and version // 1000 != MAJOR:
        raise OutboxError(
            f"{path}: was written by an agent with outbox version {version // 1000}, this one has {MAJOR}; "
            "install that agent again, or move the file away to start a new one"
        )
    if empty:
        db.execute(f"PRAGMA page_size={PAGE_SIZE}")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
    db.execute("PRAGMA foreign_keys=OFF")  # the references are for the reader; ids come from this process
    db.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    if empty or version % 1000 < MINOR:
        _make(db, 0 if empty else version % 1000 + 1)


def _make(db: sqlite3.Connection, minor: int) -> None:
    """Make the tables of this minor version and of all above it."""
    names = ["0001.sql", *(f"0001_{later}.sql" for later in range(1, MINOR + 1))][minor:]
    schema = ";".join((files(__package__) / "schema" / name).read_text("utf-8") for name in names)
    try:
        db.executescript(
            f"BEGIN IMMEDIATE;{schema};PRAGMA application_id={APPLICATION_ID};"
            f"PRAGMA user_version={MAJOR * 1000 + MINOR};"
        )
        seal.seal(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


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
