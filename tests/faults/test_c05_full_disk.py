"""C5: the outbox's partition is full for a while, then free again; then the kernel turns it read-only."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.disk import Disk, mounted
from tests.faults.rig import Record, Rig
from tests.faults.store import stored
from tests.faults.witness import judge

pytestmark = pytest.mark.xdist_group("faults-c05")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path, 24) as made:
        yield made


@pytest.mark.parametrize("seconds", [6, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
async def test_partition_is_full_for_a_while(seconds: float, disk: Disk, rig: Rig, record: Record) -> None:
    agent = rig.gateway(rig.link.port, outbox=disk.path / "outbox.db")
    try:
        await agent.start()
        await agent.until(lambda said: said["uplinks"][0]["acknowledged"] > 50, 60)
        disk.fill()
        ballast = disk.path / "outbox.db.ballast"
        await agent.until(lambda _: not ballast.exists(), 60)  # that room is used first
        disk.fill()
        await agent.until(lambda said: said["problem"], 60)
        full = time.monotonic()
        await asyncio.sleep(seconds)
        assert agent.said["waiting"], "nothing waits, and nothing can be written"
        heard = rig.witness.distinct
        assert heard <= agent.said["kept"], "something was sent that is not on disk"
        disk.free()
        await agent.until(lambda said: not said["problem"], 100)
        resumed = time.monotonic() - full - seconds
        counts = await rig.finish(agent)
        lines = len([line for line in agent.lines() if "outbox" in line])
    finally:
        await agent.close()
    record(
        "C5", f"partition full for {seconds} s", counts, resumed_after_s=round(resumed, 1), log_lines=lines
    )
    counts.check()
    assert counts.unkept == 0
    assert counts.declared == 0
    assert lines <= 4


async def test_card_turns_read_only(
    disk: Disk, rig: Rig, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(memory))
    agent = rig.gateway(rig.link.port, outbox=disk.path / "outbox.db")
    try:
        await agent.start()
        await agent.until(lambda said: said["uplinks"][0]["acknowledged"] > 50, 60)
        epoch = agent.said["epoch"]
        disk.break_down()
        await agent.until(lambda said: said["epoch"] not in {"", epoch}, 100)
        assert "read-only" in agent.said["problem"]
        volatile = agent.said["epoch"]
        await agent.until(lambda said: said["uplinks"] and said["uplinks"][0]["acknowledged"] > 50, 60)
        assert await agent.stop() == 0, agent.tail()
        await agent.start()  # and one that begins on a card that takes nothing
        assert (agent.said["epoch"], "read-only" in agent.said["problem"]) == (volatile, True)
        await agent.connected()
        await agent.drained(60)
        assert await agent.stop() == 0, agent.tail()
        was = tmp_path / "was"
        shutil.copytree(disk.path, was, ignore=shutil.ignore_patterns("lost+found"))
        kept = stored(was / "outbox.db", memory / "outbox.db")
        owed = sum(kept.tops.values())
        await asyncio.to_thread(rig.witness.wait, lambda heard: heard.distinct >= owed, 60)
        counts = judge(rig.witness, kept, agent.truth)
        lines = len([line for line in agent.lines() if "outbox:" in line])
    finally:
        await agent.close()
    record("C5", "card turns read-only", counts, epochs=len({of for _, of in kept.tops}), log_lines=lines)
    counts.check()
    assert counts.unkept == 0
    assert counts.declared == 0
    assert lines <= 6
