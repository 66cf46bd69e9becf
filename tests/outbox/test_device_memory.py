"""What devices remember: written with their readings, there after a restart, never ahead of them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.outbox import outbox as writer
from edge_agent.outbox import volatile
from tests.outbox.world import EAST, FakeClock, ask, crash, open_outbox, opened, policy, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def test_it_is_there_after_a_restart(path: Path) -> None:
    async with opened(path, FakeClock()) as outbox:
        assert outbox.device_memory.of("d1") == b""
        outbox.keep(reading("d1", 1))
        outbox.device_memory.remember("d1", b"one")
        assert outbox.device_memory.of("d1") == b"one", "also for a device that is built anew meanwhile"
        await outbox.flush()
        outbox.device_memory.remember("d1", b"two")
    async with opened(path, FakeClock()) as outbox:
        assert outbox.device_memory.of("d1") == b"two"
        assert outbox.device_memory.of("d2") == b""


async def test_a_kill_leaves_readings_and_memory_as_of_the_same_moment(path: Path, tmp_path: Path) -> None:
    async with opened(path, FakeClock()) as outbox:
        for number in range(1, 4):
            outbox.keep(reading("d1", number))
            outbox.device_memory.remember("d1", str(number).encode())
            if number < 3:
                await outbox.flush()
        killed = crash(path, tmp_path / "killed")
        assert ask(killed, "SELECT max(seq), (SELECT body FROM memory) FROM log") == [(2, b"2")]


async def test_it_is_never_ahead_of_the_readings(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_PER_COMMIT", 2)
    async with opened(path, FakeClock()) as outbox:
        for number in range(1, 6):
            outbox.keep(reading("d1", number))
        outbox.device_memory.remember("d1", b"after five")
        assert [len(outbox.device_memory.take(whole=False)) for _ in range(3)] == [0, 0, 0]
        await outbox.flush()
        assert ask(path, "SELECT body FROM memory") == [(b"after five",)]


async def test_one_that_is_damaged_is_forgotten_and_harms_nothing_else(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path, FakeClock()) as outbox:
        outbox.keep(reading("d1", 1))
        for device in ("d1", "d2"):
            outbox.device_memory.remember(device, b"something")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE memory SET body = CAST('sOmething' AS BLOB) WHERE device = 'd1'")
    async with opened(path, FakeClock()) as outbox:
        assert (outbox.device_memory.of("d1"), outbox.device_memory.of("d2")) == (b"", b"something")
        assert outbox.last_seq("d1") == 1
    assert "what d1 remembered is damaged, and is forgotten" in caplog.text


async def test_it_moves_from_memory_to_a_card_that_was_mended(path: Path, tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        outbox.keep(reading("d1", 1))
        outbox.device_memory.remember("d1", b"old")
        outbox.device_memory.remember("d2", b"other")
    fallen = tmp_path / "memory" / "outbox.db"
    async with opened(fallen, clock) as outbox:
        outbox.device_memory.carry({"d1": b"old", "d2": b"other"})
        outbox.keep(reading("d1", 2))
        outbox.device_memory.remember("d1", b"new")
    assert not volatile.is_read_only(path)
    outbox = await writer.Outbox.open(path, EAST, policy(), clock, ["city"], None, fallen)
    try:
        assert (outbox.device_memory.of("d1"), outbox.device_memory.of("d2")) == (b"new", b"other")
    finally:
        await outbox.close()


async def test_a_salvage_keeps_what_can_be_read(path: Path) -> None:
    clock = FakeClock()
    outbox = await open_outbox(path, clock)
    outbox.keep(reading("d1", 1))
    outbox.device_memory.remember("d1", b"kept")
    await outbox.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE outbox SET seal = seal + 1")
    async with opened(path, clock) as outbox:
        assert outbox.device_memory.of("d1") == b"kept"
    assert path.with_name("outbox.db.damaged").exists()
