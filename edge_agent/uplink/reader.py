"""The one task that touches the disk for a connection: it reads the log, and writes what is given up."""

import asyncio
import sqlite3
from collections.abc import Callable

from edge_agent.uplink.history import History
from edge_agent.uplink.rejections import Rejections
from edge_agent.uplink.repairs import Repairs

_DISK_PAUSE_S = 5.0


async def read(
    hungry: asyncio.Event,
    rejections: Rejections,
    history: History,
    repairs: Repairs,
    pump: Callable[[], None],
) -> None:
    """Whenever ``hungry`` is set, write to the ledger and read a piece for the lane that runs low."""
    while True:
        await hungry.wait()
        hungry.clear()
        try:
            await rejections.write()
            if history.hungry:
                await history.read()
            elif repairs.hungry:
                await repairs.read()
        except sqlite3.Error:  # a full or failing disk: the outbox tells of it, and nothing is forgotten
            await asyncio.sleep(_DISK_PAUSE_S)
            hungry.set()
        pump()
