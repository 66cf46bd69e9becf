"""Opening an outbox: judge the file against its witness, salvage it if it must be, and begin a run."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from edge_agent.clock import Clock
from edge_agent.outbox import recovery, store
from edge_agent.outbox.adoption import adopt
from edge_agent.outbox.opened import Opened
from edge_agent.outbox.policy import Identity, Selection
from edge_agent.outbox.startup import begin_run
from edge_agent.outbox.store import DamagedError, DiskError, OutboxError, Store
from edge_agent.outbox.witness import Witness

log = logging.getLogger(__name__)

R = TypeVar("R")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong into one error that names the file and the remedy.

    But for damage that was seen only now: the witness knows it, and the next opening salvages.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise DiskError(
            f"{path}: cannot be read or written ({error}); free space and check the disk, "
            "or move the file away to start a new one"
        ) from None
    except OutboxError as error:
        raise type(error)(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None


async def open_file(  # noqa: PLR0913, PLR0917 - all that a run begins with
    path: Path,
    witness: Witness,
    identity: Identity,
    clock: Clock,
    uplinks: Mapping[str, Selection],
    adopting: Path | None,
) -> tuple[Store, Opened]:
    """Open the file, or make it, and write that a run begins. ``adopting``: a volatile one, moved into it.

    Raises:
        DamagedError, OutboxError, sqlite3.Error: it cannot be used.
    """
    try:
        return await _once(path, witness, identity, clock, uplinks, adopting)
    except DamagedError:  # seen too late to be judged; now it is known
        witness.write(replace(witness.read(), state="damaged"))
        return await _once(path, witness, identity, clock, uplinks, adopting)


async def _on_thread(work: Callable[[], R], give_up: Callable[[], None] = lambda: None) -> R:
    """Do what blocks on a thread that ends before this does: the lock must not be given up under it.

    Cancelled, this asks it by ``give_up`` to end soon; what takes only seconds need not hear of it.
    """
    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        give_up()
        while not working.done():
            with suppress(asyncio.CancelledError):  # once more: it ends no sooner for that
                await asyncio.wait((working,))
        if not working.cancelled():
            working.exception()  # nobody waits for it any more
        raise


async def _once(  # noqa: PLR0913, PLR0917 - the same
    path: Path,
    witness: Witness,
    identity: Identity,
    clock: Clock,
    uplinks: Mapping[str, Selection],
    adopting: Path | None,
) -> tuple[Store, Opened]:
    testimony = witness.read()
    verdict = await _on_thread(partial(recovery.examine, path, testimony))
    if verdict == "damaged":
        witness.write(replace(testimony, state="damaged"))
        given_up = threading.Event()
        salvage = partial(recovery.salvage, path, testimony, identity, given_up.is_set)
        await _on_thread(salvage, given_up.set)
    db = await store.open_store(path)
    behind = testimony if verdict == "behind" else None
    try:
        opened = await db.run(begin_run, identity, clock, uplinks, behind)
        if adopting is not None:  # into what is begun: then the ids and uplinks of both are known
            await db.run(adopt, adopting)
            opened = await db.run(begin_run, identity, clock, uplinks, None)
    except BaseException:
        await db.close()
        raise
    if behind is not None:
        log.warning("outbox: %s is an older or another machine's copy; epoch %s begins", path, opened.epoch)
    return db, opened
