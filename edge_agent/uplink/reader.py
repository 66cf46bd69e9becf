"""The one task that touches the disk for a connection: it reads the log, and writes what is given up."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from typing import Protocol

from edge_agent.uplink.rejections import Rejections

_DISK_PAUSE_S = 5.0


class Source(Protocol):
    """What waits on disk for a connection: history, repairs, losses."""

    @property
    def hungry(self) -> bool:
        """Whether little waits in memory, and there is more."""

    async def read(self) -> None:
        """Read the next piece."""


async def read(
    hungry: asyncio.Event,
    rejections: Rejections,
    sources: Iterable[Source],
    pump: Callable[[], None],
) -> None:
    """Whenever ``hungry`` is set, write to the ledger, and read on for what runs low."""
    while True:
        await hungry.wait()
        hungry.clear()
        try:
            await rejections.write()
            for source in sources:
                if source.hungry:
                    await source.read()
        except sqlite3.Error:  # a full or failing disk: the outbox tells of it, and nothing is forgotten
            await asyncio.sleep(_DISK_PAUSE_S)
            hungry.set()
        pump()
