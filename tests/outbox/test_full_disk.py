"""A disk that is really full, and is freed again: nothing is lost without a line in the ledger."""

import asyncio
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.store import OutboxError
from edge_agent.row import Declared, Run
from tests.outbox.test_commit import writing
from tests.outbox.world import (
    FakeClock,
    ask,
    lost,
    numbers,
    open_outbox,
    opened,
    owed,
    policy,
    reading,
    rows_of,
)

SIZE = 12_000_000
SOON = 60  # seconds: a limit, not a measure


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.fail("a disk that fills needs root; run make test as root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", disk], check=True, timeout=60)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True, timeout=60)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass


def free(disk: Path) -> None:
    (disk / "filler").unlink()


def keep(outbox: Outbox, numbers: range) -> None:
    for number in numbers:
        outbox.keep(reading("d1" if number % 2 else "d2", number))


async def until_written(outbox: Outbox, number: int) -> None:
    """Wait until a commit holds the reading with this number."""
    written = asyncio.Event()

    def kept(runs: Sequence[Run], _: Sequence[Declared]) -> None:
        if (rows := rows_of(runs)) and rows[-1].body.startswith(b"[%d," % number):
            written.set()

    outbox.deliveries["city"].on_kept = kept
    async with asyncio.timeout(SOON):
        await written.wait()


async def full(outbox: Outbox, disk: Path, numbers: range) -> None:
    """Fill the disk, and let more come than the file has room for without growing."""
    fill(disk)
    for number in numbers:
        keep(outbox, range(number, number + 1))
        if number % 250 == 0:
            await outbox.flush()
    assert not await outbox.flush()
    assert "full" in outbox.disk.problem
    assert "free space" in outbox.disk.problem


async def test_readings_wait_in_memory_and_what_overflows_is_declared(disk: Path) -> None:
    path, clock = disk / "outbox.db", FakeClock()
    async with opened(path, clock, kept_by=policy(window=0.01, memory=300)) as outbox:
        keep(outbox, range(100))
        assert await outbox.flush()
        # those that still fit, those that are given up, and those that wait
        await full(outbox, disk, range(100, 60_000))
        assert len(outbox._handover) == 300
        kept = outbox.kept
        assert ask(path, "SELECT count(*) FROM log") == [(kept,)], "nothing is called kept that is not"
        free(disk)
        async with writing(outbox):
            await until_written(outbox, 59_999)
        assert outbox.disk.problem == ""
        delivery = outbox.deliveries["city"]
        losses = await delivery.open_losses()
        rows = await delivery.log.read(1, 10**6, 10**6)
        assert outbox.kept == len(rows) == delivery.backlog
        assert outbox.lost == len(lost(losses)) > 0
        assert outbox.kept + outbox.lost == 60_000
        given = sorted([(row.stream, row.seq) for row in rows] + lost(losses))
        assert given == [(stream, seq) for stream in (1, 2) for seq in range(1, 30_001)]
        values = [of for _, _, of in numbers(rows)]
        assert values == sorted(set(values)), "in the order of keeping, and once"
        assert values[-300:] == list(range(59_700, 60_000)), "the newest stay"
        for row, of in zip(rows, values, strict=True):
            assert isinstance(of, int)
            assert row.seq == of // 2 + 1, "a number belongs to the reading it was given to"
    async with opened(path, clock) as outbox:
        delivery = outbox.deliveries["city"]
        assert delivery.backlog == len(await owed(delivery)) == len(rows)
        assert ask(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_stop_while_the_disk_is_full_loses_only_what_it_says(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = disk / "outbox.db", FakeClock()
    async with opened(path, clock, kept_by=policy(memory=300)) as outbox:
        await full(outbox, disk, range(60_000))
        kept = outbox.kept
    (message,) = [text for text in caplog.messages if "lost with this stop" in text]
    assert f"{60_000 - kept} readings" in message
    free(disk)
    async with opened(path, clock) as outbox:
        rows = await outbox.deliveries["city"].log.read(1, 10**6, 10**6)
        assert [of for _, _, of in numbers(rows)] == list(range(kept))
        assert outbox.last_seq("d1") + outbox.last_seq("d2") == kept


async def test_an_uplink_goes_on_while_the_disk_is_full(disk: Path) -> None:
    path, clock = disk / "outbox.db", FakeClock()
    async with opened(path, clock, kept_by=policy(memory=300)) as outbox:
        keep(outbox, range(100))
        assert await outbox.flush()
        delivery = outbox.deliveries["city"]
        session = await delivery.count_session()
        await full(outbox, disk, range(100, 60_000))
        assert await delivery.count_session() > session
        assert len(await owed(delivery)) == delivery.backlog == outbox.kept
        delivery.settle(1, 1, outbox.last_seq("d1"))
        delivery.settle(2, 1, outbox.last_seq("d2"))
        assert (delivery.backlog, await owed(delivery)) == (0, [])


async def test_an_outbox_that_finds_no_room_to_begin_says_so_and_begins_later(disk: Path) -> None:
    path, clock = disk / "outbox.db", FakeClock()
    fill(disk)
    with pytest.raises(OutboxError, match=f"^{path}: .*full.*disk.*"):
        await open_outbox(path, clock)
    free(disk)
    async with opened(path, clock) as outbox:
        keep(outbox, range(10))
        assert await outbox.flush()
