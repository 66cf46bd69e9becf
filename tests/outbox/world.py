"""What the outbox's tests share: a clock that they step, ways to open and crash, what a file itself says."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.reading import Reading
from edge_agent.row import Declared, Row, Run

EAST = Identity("east-park", "gw-01")
NAMES = ("temperature", "humidity")
YEARS_56_MS = 56 * 365 * 86_400_000
NOW_MS = 1_795_366_800_000


def rows_of(runs: Iterable[Run]) -> list[Row]:
    """Return what a commit had, in the order of the log."""
    return sorted(row for run in runs for row in run.rows)


@dataclass
class FakeClock:
    """Stands still until a test moves it."""

    boot_id: str = "boot-1"
    mono: int = 5_000
    wall: int = NOW_MS
    trust: bool = True

    def mono_ms(self) -> int:
        return self.mono

    def wall_ms(self) -> int:
        return self.wall

    def trusted(self) -> bool:
        return self.trust

    def wait(self, ms: int) -> None:
        self.mono += ms
        self.wall += ms


def policy(
    window: float = 0.05, memory: int = 20_000, replay: float = 86_400, max_size: int = 10**9
) -> Policy:
    return Policy(window, memory, replay, max_size)


async def open_outbox(
    path: Path,
    clock: FakeClock,
    uplinks: Sequence[str] = ("city",),
    *,
    kept_by: Policy | None = None,
    devices: Sequence[str] = ("d1", "d2"),
) -> Outbox:
    outbox = await Outbox.open(path, EAST, kept_by or policy(), clock, uplinks)
    for device in devices:
        await outbox.enroll(device, "hash", '{"channels":{"temperature":{},"humidity":{}}}', NAMES)
    return outbox


@asynccontextmanager
async def opened(
    path: Path,
    clock: FakeClock,
    uplinks: Sequence[str] = ("city",),
    *,
    kept_by: Policy | None = None,
    devices: Sequence[str] = ("d1", "d2"),
) -> AsyncIterator[Outbox]:
    outbox = await open_outbox(path, clock, uplinks, kept_by=kept_by, devices=devices)
    try:
        yield outbox
    finally:
        await outbox.close()


def reading(device: str, number: int, mono_ms: int = 5_000) -> Reading:
    """Make a reading that says which one it is."""
    return Reading(device, mono_ms, {"temperature": number, "humidity": 50.5})


def crash(path: Path, into: Path) -> Path:
    """Copy the files as they are now, which is what a process that dies leaves behind."""
    into.mkdir(parents=True, exist_ok=True)
    for suffix in ("", "-wal", ".witness"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copy(source, into / source.name)
    return into / path.name


def ask(path: Path, question: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Ask the file, as anybody could."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(question, arguments).fetchall()


def numbers(rows: Sequence[Row]) -> list[tuple[int, int, int]]:
    """Stream, seq and the number that the reading was made with."""
    return [(row.stream, row.seq, orjson.loads(row.body)[0]) for row in rows]


async def owed(delivery: Delivery) -> list[Row]:
    """Find what a restart would send: the log from ``scan_from`` on, without what is settled."""
    rows = await delivery.log.read(delivery.scan_from, delivery.last_id, 10**6)
    return [row for row in rows if delivery.owes(row.stream, row.seq)]


def lost(losses: Sequence[Declared]) -> list[tuple[int, int]]:
    """Return stream and number of every reading in the ledger; a thinned range keeps some of its own."""
    return [
        (loss.stream, seq)
        for loss in losses
        for seq in range(loss.from_seq, (loss.to_seq or 0) + 1)
        if loss.every is None or seq % loss.every
    ]
