"""Room that is set aside for the day the disk is full, and what waits when nothing can be written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.outbox import ballast, volatile
from edge_agent.outbox.store import OutboxError
from tests.faults.disk import Disk, mounted
from tests.outbox.world import FakeClock, numbers, open_outbox, opened, owed, reading

_MB = 1_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path, 24) as made:
        yield made


def test_it_is_really_allocated_and_made_only_where_there_is_room(disk: Disk) -> None:
    path = disk.path / "outbox.db"
    before = disk.free_bytes
    ballast.make(path)
    assert before - disk.free_bytes >= _MB
    ballast.make(path)
    assert before - disk.free_bytes < 2 * _MB
    disk.fill()
    assert ballast.drop(path)
    assert disk.free_bytes >= _MB
    assert not ballast.drop(path)
    ballast.make(path)
    assert disk.free_bytes >= _MB


async def test_a_full_disk_still_takes_what_waits(disk: Disk) -> None:
    clock = FakeClock()
    path = disk.path / "outbox.db"
    async with opened(path, clock) as outbox:
        clock.wait(60_000)
        outbox.keep(reading("d1", 1))
        assert await outbox.flush()
        assert _there(path)
        disk.fill()
        for number in range(2, 5_002):
            outbox.keep(reading("d1", number))
        assert await outbox.flush()
        assert (outbox.disk.problem, _there(path)) == ("", False)
        disk.free()
        clock.wait(60_000)
        outbox.keep(reading("d1", 5_002))
        assert await outbox.flush()
        assert _there(path)


def _there(path: Path) -> bool:
    return path.with_name("outbox.db.ballast").exists()


async def test_what_waits_when_the_card_turns_read_only_goes_on_elsewhere(disk: Disk, tmp_path: Path) -> None:
    clock = FakeClock()
    outbox = await open_outbox(disk.path / "outbox.db", clock)
    outbox.keep(reading("d1", 1))
    assert await outbox.flush()
    disk.break_down()
    outbox.keep(reading("d1", 2))
    assert not await outbox.flush()
    outbox.keep(reading("d2", 3))
    outbox.keep(reading("d1", 4))
    assert volatile.is_read_only(disk.path / "outbox.db")
    await outbox.close()
    assert outbox.unwritten.total == 3
    async with opened(tmp_path / "outbox.db", clock) as other:
        assert other.epoch != outbox.epoch
        other.adopt(outbox.unwritten)
        assert await other.flush()
        rows = await owed(other.deliveries["city"])
    assert [(seq, number) for _, seq, number in numbers(rows)] == [(1, 2), (1, 3), (2, 4)]


def test_the_place_in_memory_is_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path / 'run'}:/other")
    assert volatile.place("gw-01") == tmp_path / "run" / "outbox.db"
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert 0 < volatile.size(tmp_path / "run" / "outbox.db", 10**15) < 10**15
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    monkeypatch.setattr(volatile, "_MEMORY", (str(tmp_path / "file"),))
    with pytest.raises(OutboxError, match="replace the card"):
        volatile.place("gw-01")


def test_a_folder_that_is_to_be_made_is_not_read_only(tmp_path: Path) -> None:
    assert not volatile.is_read_only(tmp_path / "new" / "outbox.db")
    assert list(tmp_path.iterdir()) == []
    assert not volatile.is_read_only(tmp_path / "outbox.db")
    assert list(tmp_path.iterdir()) == []
