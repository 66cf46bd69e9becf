"""What keeping alone costs: the outbox beside its floor, in one run. ``python -m benchmarks.outbox``.

The floor is what any design must pay: the same rows, encoded and written by executemany in transactions of
the same size, to the same disk, with the same pragmas. CPU is that of the whole process, both threads.
"""

import asyncio
import gc
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from benchmarks import measure
from edge_agent.clock import SystemClock
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.outbox.writer import MOST_PER_COMMIT
from edge_agent.reading import Reading
from edge_agent.row import Declared, Run

CHANNELS = ("voltage", "current", "power", "frequency", "energy_import")
AT_ONCE = 2_000  # readings between two turns of the event loop


def readings(count: int, devices: int) -> list[Reading]:
    """Make them before anything is measured."""
    made = []
    for number in range(count):
        values = (230.1 + number % 7, 4.25, 977.5, 50.01, 1234.5 + number)
        made.append(Reading(f"d{number % devices}", number, dict(zip(CHANNELS, values, strict=True))))
    return made


def floor(path: Path, sample: Sequence[Reading], devices: int) -> tuple[float, float]:
    """Return the seconds of CPU and of time that nobody can avoid."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size=1024", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4096"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, a, b, c, d, e, f)")
    cpu, began = time.process_time(), time.perf_counter()
    for at in range(0, len(sample), MOST_PER_COMMIT):
        part = sample[at : at + MOST_PER_COMMIT]
        rows = [
            (
                at + n,
                (at + n) % devices,
                (at + n) // devices,
                1,
                made.mono_ms,
                1,
                orjson.dumps([*made.values.values()])[:-1] + b"]",
            )
            for n, made in enumerate(part, 1)
        ]
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO log VALUES (?,?,?,?,?,?,?)", rows)
        db.execute("COMMIT")
    spent = time.process_time() - cpu, time.perf_counter() - began
    db.close()
    return spent


def settler(outbox: Outbox, name: str) -> Callable[[Sequence[Run], Sequence[Declared]], None]:
    """Make an uplink that acknowledges a device's run of readings at once."""
    delivery = outbox.deliveries[name]

    def settle(runs: Sequence[Run], _declared: Sequence[Declared]) -> None:
        for run in runs:
            delivery.settle(run.stream, run.first, run.last)

    return settle


async def kept(path: Path, sample: Sequence[Reading], devices: int) -> tuple[float, float]:
    """Return the seconds of CPU and of time that the outbox takes."""
    outbox = await Outbox.open(
        path, Identity("s", "g"), Policy(1.0, 20_000, 604_800, 10**9), SystemClock("always"), ["city"]
    )
    for device in range(devices):
        await outbox.enroll(f"d{device}", "hash", "{}", CHANNELS)
    delivery = outbox.deliveries["city"]
    delivery.on_kept = settler(outbox, "city")
    delivery.low_water = lambda: delivery.last_id + 1
    cpu, began = time.process_time(), time.perf_counter()
    for at in range(0, len(sample), AT_ONCE):
        for reading in sample[at : at + AT_ONCE]:
            outbox.keep(reading)
        if outbox.waiting >= MOST_PER_COMMIT:
            await outbox.flush()
    await outbox.flush()
    spent = time.process_time() - cpu, time.perf_counter() - began
    assert (outbox.kept, outbox.lost, delivery.backlog) == (len(sample), 0, 0)
    await outbox.close()
    return spent


def main(count: int) -> None:
    """Print a small table."""
    table = measure.Table("devices", "us CPU", "floor", "ratio", "readings/s")
    for devices in (1, 20, 200):
        sample = readings(count, devices)
        gc.freeze()  # the sample is not what is measured
        with tempfile.TemporaryDirectory(dir=measure.FOLDER) as folder:
            least, _ = floor(Path(folder) / "floor.db", sample, devices)
            cpu, seconds = asyncio.run(kept(Path(folder) / "outbox.db", sample, devices))
        each = 1e6 / count
        cells = (devices, f"{cpu * each:.2f}", f"{least * each:.2f}", f"{cpu / least:.2f}")
        table.row(*cells, f"{count / seconds:,.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400_000)
