"""What a look at a device's past costs, on an outbox at its cap, and what it costs the writer.

Run it with ``python -m benchmarks.past``; ``BENCH_DIR`` names a folder on the disk to be measured. 200
devices have made 20 readings a second until 512 MB were full. There is no index by device, which would
multiply the bytes that are written: a plot reads the log backward. The first look finds nothing of the file
in memory. The floor is SQLite counting the device's rows in the same part of the log. Then commits of 20
readings are timed, with nobody looking and with one look after another.
"""

import asyncio
import os
import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from benchmarks import measure
from benchmarks.meter import NAMES, samples
from edge_agent.clock import SystemClock
from edge_agent.control.plot import LENGTHS_MS, MOST, WITHIN_S
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.past import past
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.outbox.writer import MOST_PER_COMMIT
from edge_agent.reading import Reading

DEVICES = 200
READINGS = 8_000_000
_EVERY_MS = 50
_LOOKED_AT = "meter-77"
_COMMITS_S, _PAUSE_S, _ROUNDS = 5.0, 0.05, 3
_A_COMMIT = 20


class SetClock(SystemClock):
    """Stands still; each reading moves it on."""

    def __init__(self) -> None:
        super().__init__("always")
        self.now_ms = 1_000_000

    def mono_ms(self) -> int:
        return self.now_ms

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + self.now_ms


class Writer:
    """Keeps readings of all devices in turn."""

    def __init__(self, outbox: Outbox, clock: SetClock) -> None:
        self._outbox, self._clock = outbox, clock
        self._values = [{name: value for name, value in one if value is not None} for one in samples(1001)]
        self._made = 0

    def keep(self, count: int) -> None:
        for number in range(self._made, self._made + count):
            self._clock.now_ms += _EVERY_MS
            device = f"meter-{number % DEVICES}"
            self._outbox.keep(Reading(device, self._clock.now_ms, self._values[number % 1001]))
        self._made += count

    async def latencies(self) -> list[float]:
        """Return how long commits take, in order."""
        took = []
        until = time.perf_counter() + _COMMITS_S
        while (began := time.perf_counter()) < until:
            self.keep(_A_COMMIT)
            await self._outbox.flush()
            took.append(time.perf_counter() - began)
            await asyncio.sleep(_PAUSE_S)
        return sorted(took)


async def opened(file: Path, clock: SetClock) -> Outbox:
    policy = Policy(window=1.0, memory=20_000, replay=604_800, max_size=10**11)
    outbox = await Outbox.open(file, Identity("east-park", "gw-01"), policy, clock, [])
    body = '{"channels":{' + ",".join(f'"{name}":{{"unit":"V"}}' for name in NAMES) + "}}"
    for number in range(DEVICES):
        await outbox.enroll(f"meter-{number}", "filled00", body, NAMES)
    return outbox


def looked(file: Path, length_ms: int) -> tuple[float, float, bool]:
    """Return the seconds, the CPU's seconds, and whether all of it was read in time."""
    began, cpu = time.perf_counter(), time.process_time()
    found = past(file, _LOOKED_AT, None, length_ms, MOST, WITHIN_S)
    return time.perf_counter() - began, time.process_time() - cpu, found.complete


def floor(file: Path, length_ms: int) -> float:
    with closing(sqlite3.connect(file)) as db:
        (stream,) = db.execute("SELECT id FROM stream WHERE device = ?", (_LOOKED_AT,)).fetchone()
        began = time.process_time()
        db.execute(
            "SELECT count(*) FROM log WHERE stream = ? AND id > (SELECT max(id) FROM log) - ?",
            (stream, length_ms // _EVERY_MS),
        ).fetchone()
        return time.process_time() - began


def forget(file: Path) -> None:
    """Have Linux read the file from the disk again."""
    with file.open("rb") as opened_file:
        os.fdatasync(opened_file.fileno())
        os.posix_fadvise(opened_file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def main(folder: Path) -> None:
    file, clock = folder / "outbox.db", SetClock()
    outbox = await opened(file, clock)
    writer = Writer(outbox, clock)
    for _ in range(READINGS // MOST_PER_COMMIT):
        writer.keep(MOST_PER_COMMIT)
        await outbox.flush()
    table = measure.Table(
        "of the past", "first look, s", "again, s", "CPU, ms", "floor, ms", "ratio", "all of it in time"
    )
    for length, length_ms in LENGTHS_MS.items():
        forget(file)
        first, _, complete = looked(file, length_ms)
        again, cpu, _ = min(looked(file, length_ms) for _ in range(3))
        least = min(floor(file, length_ms) for _ in range(3))
        table.row(
            length, f"{first:.2f}", f"{again:.2f}", f"{cpu * 1000:.0f}", f"{least * 1000:.0f}",
            f"{cpu / least:.1f}", "yes" if complete else "no",
        )  # fmt: skip
    print()
    table = measure.Table("commits of 20 readings", "p50, ms", "p95, ms", "longest, ms")
    for looking in ("nobody looks", "one look at 7 d after another") * _ROUNDS:
        ended = threading.Event()

        def look(ended: threading.Event = ended) -> None:
            while not ended.is_set():
                looked(file, LENGTHS_MS["7d"])

        beside = threading.Thread(target=look)
        if looking != "nobody looks":
            beside.start()
        took = await writer.latencies()
        ended.set()
        if beside.ident is not None:
            await asyncio.to_thread(beside.join)
        table.row(
            looking,
            *(
                f"{seconds * 1000:.1f}"
                for seconds in (took[len(took) // 2], took[len(took) * 95 // 100], took[-1])
            ),
        )
    await outbox.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=measure.FOLDER) as made:
        asyncio.run(main(Path(made)))
