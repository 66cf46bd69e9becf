"""What a crash leaves: no number twice, no gap, all that was said to be kept; one sync for each commit."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.outbox.world import FakeClock, ask, crash, numbers, opened, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def test_seqs_are_contiguous_over_crashes_at_any_point(path: Path, tmp_path: Path) -> None:
    clock, number = FakeClock(), 0
    last: dict[str, int] = {"d1": 0, "d2": 0}
    for run in range(25):
        async with opened(path, clock) as outbox:
            assert {device: outbox.last_seq(device) for device in last} == last
            for commit in range(1 + run % 4):
                for _ in range(1 + run % 3):  # d2 only now and then: its numbers may be only in the marks
                    outbox.keep(reading("d2" if run % 5 == 0 else "d1", number))
                    number += 1
                clock.wait(10_000 if (run + commit) % 3 == 0 else 100)
                assert await outbox.flush()
            last = {device: outbox.last_seq(device) for device in last}
            outbox.keep(reading("d1", -1))  # was not written: may be gone
            path = crash(path, tmp_path / f"run-{run}")
    async with opened(path, clock) as outbox:
        rows = await outbox.deliveries["city"].log.read(1, 9_999, 9_999)
        for stream in (1, 2):
            seqs = [row.seq for row in rows if row.stream == stream]
            assert seqs == list(range(1, len(seqs) + 1))
        assert [of for _, _, of in numbers(rows)] == list(range(number))


_CHILD = """
import asyncio, pathlib, sys
from tests.outbox.world import FakeClock, open_outbox, policy, reading

async def main():
    clock = FakeClock()
    outbox = await open_outbox(pathlib.Path(sys.argv[1]), clock, kept_by=policy(window=0.001))
    asyncio.create_task(outbox.run())
    outbox.deliveries["city"].on_kept = lambda runs, _: print(runs[-1].rows[-1].id, flush=True)
    number = outbox.last_seq("d1")
    while True:
        for _ in range(20):
            outbox.keep(reading("d1", number))
            number += 1
        clock.wait(500)
        await asyncio.sleep(0.002)

asyncio.run(main())
"""


async def test_sigkill_takes_nothing_that_was_told_to_be_kept(path: Path) -> None:
    told = 0
    for run in range(6):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _CHILD, str(path)), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        try:
            async with asyncio.timeout(60):
                for _ in range(3 + 7 * run):
                    told = int(await child.stdout.readline())
        finally:
            child.kill()
            rest = (await child.stdout.read()).split()
            await child.wait()
        told = int(rest[-1]) if rest else told
        rows = ask(path, "SELECT id, stream, seq FROM log ORDER BY id")
        assert len(rows) >= told
        assert rows == [(n, 1, n) for n in range(1, len(rows) + 1)]
        assert ask(path, "PRAGMA integrity_check") == [("ok",)]


_COMMITS = """
import asyncio, os, pathlib, sys
from tests.outbox.world import FakeClock, open_outbox, reading

async def main():
    outbox = await open_outbox(pathlib.Path(sys.argv[1]), FakeClock())
    for number in range(5):  # the first commits also make the files
        outbox.keep(reading("d1", number))
        await outbox.flush()
    os.stat("/count-from-here")
    for number in range(30):
        for _ in range(100):
            outbox.keep(reading("d1", number))
        await outbox.flush()
    os.stat("/count-to-here")

try:
    asyncio.run(main())
except FileNotFoundError:
    pass
os._exit(0)
"""


async def test_each_commit_is_synced_once(path: Path, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is missing; run make test as root, or apt-get install strace")
    script = (
        _COMMITS.replace('os.stat("/', 'Path("/')
        .replace('here")', 'here").exists()')
        .replace(
            "import asyncio, os, pathlib, sys", "import asyncio, os, pathlib, sys\nfrom pathlib import Path"
        )
    )
    trace = tmp_path / "trace"
    traced = (strace, "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync,stat,newfstatat,statx")
    subprocess.run(  # noqa: ASYNC221 - nothing else runs
        [*traced, sys.executable, "-c", script, str(path)], check=True, timeout=90, env={**os.environ}
    )
    calls = trace.read_text().splitlines()
    begin = next(at for at, call in enumerate(calls) if "/count-from-here" in call)
    end = next(at for at, call in enumerate(calls) if "/count-to-here" in call)
    syncs = [call for call in calls[begin:end] if "sync(" in call]
    assert len(syncs) == 30, syncs
