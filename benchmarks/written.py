"""How many bytes are written to disk for a reading, and how long a card lasts with that.

Run it with ``python -m benchmarks.written``; ``BENCH_DIR`` names a folder on the disk to be measured. All
cases run side by side, each a whole agent with an uplink in a process of its own. What is counted is
``write_bytes`` of /proc/PID/io: what the process let the file system write. Time runs faster by
``Case.speed``: the agent's clock and the rate by so much more, the window by so much less, so that a commit
has the rows that it would have.

Retention runs: readings may go after 20 s. Counted is from one removal of old readings to a later one, so
that for each reading kept one is removed.
"""

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import broker, gateway, measure
from edge_agent.clock import SystemClock
from edge_agent.outbox import transactions
from edge_agent.uplink.interfaces import Acknowledged

DEVICES = 10
CARD_BYTES = 32e9 * 1000 / 4
"""Assumed of a card: 32 GB, each cell written 1,000 times, 4 bytes written inside for each that comes."""

_PREFILL = 4500  # readings, so that the first removal has enough to remove
_LOOK_S = 0.2
_FILL_S = 3.0
_YEAR_S = 31_557_600


class Case(NamedTuple):
    """Readings a second and window in seconds, as they would be; how much faster, and for how long."""

    rate: int
    window: int
    speed: int
    seconds: int


CASES = [
    Case(rate, window, speed, seconds)
    for rate, speed, seconds in ((1, 20, 218), (10, 10, 140), (100, 10, 60), (1000, 5, 40))
    for window in (1, 10)
]


class FastClock(SystemClock):
    """Runs so many times faster."""

    def __init__(self, speed: int) -> None:
        super().__init__("always")
        self._speed, self._from = speed, super().mono_ms()
        self._wall = super().wall_ms()

    def mono_ms(self) -> int:
        return self._from + self._speed * (super().mono_ms() - self._from)

    def wall_ms(self) -> int:
        return self._wall + self.mono_ms() - self._from


async def live(folder: Path, case: Case) -> measure.Told:
    """Be the agent of one case, and return the payload's bytes for each reading."""
    gateway.install_meter(folder)
    payload = readings = commits = 0
    write = transactions.write

    def counted(*batch: Any) -> Any:
        nonlocal commits
        commits += 1
        return write(*batch)

    def note(acknowledged: Acknowledged) -> None:
        nonlocal payload, readings
        payload += len(acknowledged.payload)
        readings += acknowledged.last - acknowledged.first + 1

    async with broker.running(folder) as port:
        outbox = f'window = "{1000 * case.window // case.speed}ms"\nreplay = "20s"'
        config = gateway.write_config(folder, port, DEVICES, outbox=outbox)
        async with gateway.running(config, note, FastClock(case.speed)) as (agent, source):
            source.read(_PREFILL)
            await asyncio.sleep(_FILL_S)
            payload = readings = 0
            transactions.write = counted  # type: ignore[assignment]  # to hear of it
            await source.pace(case.rate * case.speed, case.seconds)
            now = agent.status()
            assert now.lost == 0, now
    return {"payload": payload / readings, "per_commit": readings / commits}


class Seen(NamedTuple):
    """What was on disk, and what had been written, when old readings had just been removed."""

    first: int
    last: int
    written: int


def look(pid: int, file: Path, db: sqlite3.Connection) -> Seen | None:
    """Look from outside: the agent is not disturbed."""
    if not Path(f"/proc/{pid}").exists() or not file.exists():
        return None
    try:
        first, last = db.execute("SELECT min(id), max(id) FROM log").fetchone()
        fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text("ascii").splitlines())
    except (sqlite3.OperationalError, FileNotFoundError, ProcessLookupError):
        return None
    return None if first is None else Seen(first, last, int(fields["write_bytes"]))


async def watched(case: Case) -> measure.Told:
    """Run one case in a process of its own, and return what it wrote between two removals."""
    with tempfile.TemporaryDirectory(dir=measure.FOLDER) as folder:
        command = (sys.executable, "-m", "benchmarks.written", folder, *map(str, case))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        telling = asyncio.create_task(process.communicate())
        db = sqlite3.connect(f"{folder}/outbox.db", isolation_level=None)
        db.execute("PRAGMA query_only=ON")
        removals: list[Seen] = []
        while not telling.done():
            await asyncio.wait((telling,), timeout=_LOOK_S)
            seen = look(process.pid, Path(folder, "outbox.db"), db)
            if seen is not None and seen.first > (removals[-1].first if removals else 1):
                removals.append(seen)
        said, _ = await telling
        db.close()
    assert process.returncode == 0, f"{case} ended with {process.returncode}"
    assert len(removals) > 1, f"{case}: old readings were not removed twice"
    readings = removals[-1].last - removals[0].last
    written = (removals[-1].written - removals[0].written) / readings
    return {**json.loads(said), "written": written, "readings": readings, "removals": len(removals) - 1}


async def main() -> None:
    told = await asyncio.gather(*map(watched, CASES))
    print(f"File system: {file_system()}; {DEVICES} devices")
    table = measure.Table(
        "readings/s", "window", "readings/commit", "bytes written/reading", "payload", "times", "GB/year",
        "card's years", "counted readings", "removals",
    )  # fmt: skip
    for case, one in zip(CASES, told, strict=True):
        written = one["written"]
        year = written * case.rate * _YEAR_S
        table.row(
            case.rate, f"{case.window} s", f"{one['per_commit']:.1f}", f"{written:,.0f}",
            f"{one['payload']:.0f}", f"{written / one['payload']:.1f}", f"{year / 1e9:,.1f}",
            f"{CARD_BYTES / year:,.1f}", f"{one['readings']:,}", one["removals"],
        )  # fmt: skip


def file_system() -> str:
    """Name the kind of file system that was written to."""
    folder = measure.FOLDER or tempfile.gettempdir()
    said = subprocess.run(["df", "--output=fstype", folder], check=True, stdout=subprocess.PIPE, timeout=10)
    return said.stdout.decode().split()[-1]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure.tell(asyncio.run(live(Path(sys.argv[1]), Case(*map(int, sys.argv[2:])))))
    else:
        asyncio.run(main())
