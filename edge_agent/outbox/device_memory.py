"""What devices remember over a restart: written in the transaction of the readings that it belongs to."""

import logging
import sqlite3
from collections.abc import Mapping
from zlib import crc32

log = logging.getLogger(__name__)


class DeviceMemory:
    """What each device remembers, as bytes of its own making. ``known`` is by device."""

    def __init__(self, known: Mapping[str, bytes]) -> None:
        self.known = dict(known)
        self._changed: dict[str, bytes] = {}

    def of(self, device: str) -> bytes:
        """What a device remembers; nothing if it is new here, or if that was damaged."""
        return self.known.get(device, b"")

    def remember(self, device: str, body: bytes) -> None:
        """Have this written with what was kept until now. It asks for no commit of its own."""
        self.known[device] = self._changed[device] = body

    def carry(self, known: Mapping[str, bytes]) -> None:
        """Go on with what devices remembered in an outbox that fell."""
        self.known.update(known)
        self._changed.update(known)

    def take(self, *, whole: bool) -> Mapping[str, bytes]:
        """Take out what a batch is to write. Never ahead of the readings: only with the last of them."""
        if not whole or not self._changed:
            return {}
        taken, self._changed = self._changed, {}
        return taken


def write(db: sqlite3.Connection, memory: Mapping[str, bytes]) -> None:
    """Write what devices remember, as part of a transaction."""
    db.executemany(
        "INSERT OR REPLACE INTO memory (device, body, sum) VALUES (?, ?, ?)",
        [(device, body, _sum(device, body)) for device, body in memory.items()],
    )


def carry_over(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Remember what a volatile outbox does: it is younger."""
    if old.execute("SELECT 1 FROM sqlite_schema WHERE name = 'memory'").fetchone():
        write(new, read(old))


def read(db: sqlite3.Connection) -> dict[str, bytes]:
    """Return what every device remembers, as far as it is as it was written."""
    found = {}
    for device, body, check in db.execute("SELECT device, body, sum FROM memory"):
        if check == _sum(device, body):
            found[device] = body
        else:
            log.error("outbox: what %s remembered is damaged, and is forgotten", device)
    return found


def _sum(device: str, body: bytes) -> int:
    return crc32(body, crc32(device.encode()))
