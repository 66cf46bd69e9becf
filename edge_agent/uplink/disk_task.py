"""The one task that touches the disk for a connection: it reads the log, and writes what is given up."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from typing import Protocol

from edge_agent.uplink.dead_letters import DeadLetters

_DISK_PAUSE_S = 5.0


class Source(Protocol):
    """What waits on disk for a connection: history, repairs, losses."""

    @property
    def runs_low(self) -> bool:
        """Whether little waits in memory, and there is more."""

    async def read(self) -> None:
        """Read the next piece."""


async def run(
    work: asyncio.Event,
    dead_letters: DeadLetters,
    sources: Iterable[Source],
    pump: Callable[[], None],
) -> None:
    """Whenever ``work`` is set, write to the ledger, and read on for what runs low."""
    while True:
        await work.wait()
        work.clear()
        try:
            await dead_letters.write()
            for source in sources:
                if source.runs_low:
                    await source.read()
        except sqlite3.Error:  # a full or failing disk: the outbox tells of it, and nothing is forgotten
            await asyncio.sleep(_DISK_PAUSE_S)
            work.set()
        pump()
