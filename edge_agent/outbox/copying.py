"""A copy of an outbox that goes on being written, and a copy put where an outbox is to be."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from edge_agent.outbox import store
from edge_agent.outbox.opening import naming
from edge_agent.outbox.store import OutboxError

_PAGES = 2048  # at a time


def copy_to(path: Path, copy: Path, on_progress: Callable[[float], None] = lambda _share: None) -> None:
    """Copy an outbox as it is at one moment; the agent goes on writing to it meanwhile.

    ``on_progress`` hears the share that is done, 0 to 1.

    Raises:
        OutboxError: there is none, or it cannot be read.
    """

    def step(_status: int, left: int, total: int) -> None:
        on_progress(1 - left / total if total else 1.0)

    with (
        naming(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.execute("BEGIN")  # this moment; else each commit of the agent's would begin the copy anew
        source.execute("SELECT * FROM sqlite_schema").fetchone()
        source.backup(target, pages=_PAGES, progress=step)


def judge(path: Path, *, over: bool) -> None:
    """Find out before anything is unpacked whether ``put`` would refuse. Raises as it does."""
    before = Path(f"{path}.before")
    if path.exists() and not over:
        raise OutboxError(
            f"{path}: there is an outbox; with --force it is set aside for the one of the backup"
        )
    if path.exists() and before.exists():
        raise OutboxError(
            f"{before}: an outbox was set aside there before; look at it, and move it elsewhere"
        )


def put(copy: Path, path: Path, *, over: bool) -> None:
    """Move a copy to where an outbox is to be. As it has no witness, a new epoch begins at the next start.

    ``over``: also where there is one, which is then beside it as ``.before``.

    Raises:
        OutboxError: there is one, or one that was set aside before, or an agent uses it.
        OSError: it cannot be put there.
    """
    judge(path, over=over)
    before = Path(f"{path}.before")
    lock = store.lock(path)
    try:
        if path.exists():
            _fold(path)
            for part in ("-wal", ""):  # cut off in between, the next try finds both
                with suppress(FileNotFoundError):
                    Path(f"{path}{part}").replace(f"{before}{part}")
        for part in ("-wal", "-shm", ".ballast"):
            Path(f"{path}{part}").unlink(missing_ok=True)
        folder = path.parent.stat()
        given = os.open(copy, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for one in (given, lock):
                os.chown(one, folder.st_uid, folder.st_gid)  # the service's, also where root restores
            os.fchmod(given, 0o640)
        finally:
            os.close(given)
        os.ftruncate(lock, 0)
        copy.replace(path)
    finally:
        os.close(lock)


def _fold(path: Path) -> None:
    """Write what is in the log of an outbox into its file; a damaged one stays as it is."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=5)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
