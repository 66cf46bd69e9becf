"""Opening an outbox: it works, or says in one sentence which file is wrong and what to do; nothing leaks."""

import asyncio
import errno
import gc
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.event import Event
from edge_agent.outbox import store
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity
from edge_agent.outbox.seal import seal
from edge_agent.outbox.store import OutboxError
from tests.outbox.world import EAST, NAMES, FakeClock, ask, opened, policy, reading


def open_files() -> list[str]:
    """Name what this process has open, but for what the event loop needs."""
    links = (os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd))  # noqa: PTH115, PTH208 - plain names
    return [link for link in links if link.startswith("/") and not link.startswith("/proc/")]


def _is_open(descriptor: str) -> bool:
    try:
        os.fstat(int(descriptor))
    except OSError:
        return False
    return True


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    files, threads = open_files(), set(threading.enumerate())
    yield
    assert sorted(open_files()) == sorted(files)
    for thread in set(threading.enumerate()) - threads:  # it may be in its last lines
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def refused(path: Path, identity: Identity = EAST) -> str:
    with pytest.raises(OutboxError) as refusal:
        await Outbox.open(path, identity, policy(), FakeClock(), ["city"])
    message = str(refusal.value)
    assert message.count(str(path)) == 1, message
    assert "\n" not in message
    return message


async def test_a_new_outbox_has_the_schema_and_the_pragmas(path: Path) -> None:
    async with opened(path, FakeClock()) as outbox:
        assert len(outbox.epoch) == 6
        assert await outbox._db.run(lambda db: db.execute("PRAGMA synchronous").fetchone()) == (2,)  # FULL
    assert ask(path, "PRAGMA application_id") == [(store.APPLICATION_ID,)]
    assert ask(path, "PRAGMA user_version") == [(store.MAJOR * 1000 + store.MINOR,)]
    assert ask(path, "PRAGMA page_size") == [(1024,)]
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    assert ask(path, "PRAGMA foreign_key_check") == []
    assert ask(path, "SELECT runs FROM outbox") == [(1,)]


async def test_epoch_and_numbers_go_on_over_runs(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        epoch = outbox.epoch
        outbox.keep(reading("d1", 1))
    async with opened(path, clock) as outbox:
        assert (outbox.epoch, outbox.last_seq("d1"), outbox.last_seq("d2")) == (epoch, 1, 0)


async def test_another_programs_database_is_not_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (one)")
    before = path.read_bytes()  # noqa: ASYNC240 - nothing else runs
    assert "another program" in (message := await refused(path))
    assert "outbox.path" in message
    assert path.read_bytes() == before  # noqa: ASYNC240 - nothing else runs


async def test_a_newer_major_is_refused_with_both_versions(path: Path) -> None:
    async with opened(path, FakeClock()):
        pass
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2003")
    message = await refused(path)
    assert "version 2" in message
    assert "this one has 1" in message
    assert "install that agent again" in message


async def test_a_newer_minor_with_more_columns_and_tables_is_used(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        outbox.keep(reading("d1", 1))
    with closing(sqlite3.connect(path)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            db.execute(f"ALTER TABLE {table} ADD COLUMN from_a_later_version TEXT")
        db.execute("CREATE TABLE from_a_later_version (one TEXT)")
        db.execute("PRAGMA user_version = 1999")
        seal(db)  # as that version would
        db.commit()
    async with opened(
        path, clock, ["city", "park"], kept_by=policy(memory=1), devices=["d1", "d3"]
    ) as outbox:
        for number in range(3):
            outbox.keep(reading("d1", number))
        clock.wait(20_000)
        assert await outbox.flush()
        delivery = outbox.deliveries["city"]
        (loss,) = await delivery.open_losses()
        delivery.settle_loss(loss)
        delivery.settle(loss.stream, 1, 4)
        assert delivery.backlog == 0
        rows = await delivery.log.read(1, 99, 99)
        assert [row.seq for row in rows] == [1, 4]
        await outbox.deliveries["park"].reject(rows[-1], "too large")
        await outbox.events.enroll()
        for event in (Event("online", "d1", 1), Event("retired", "d3", 1)):
            outbox.events.tell(event, "city" if event.kind == "retired" else "")
            assert await outbox.flush()
    assert ask(path, "SELECT settled FROM delivery WHERE uplink = 1 AND stream = 1") == [(4,)]


async def test_a_second_agent_on_the_same_outbox_is_refused(path: Path) -> None:
    async with opened(path, FakeClock()) as outbox:
        assert "another agent" in await refused(path)
        outbox.keep(reading("d1", 1))
        assert await outbox.flush()
    async with opened(path, FakeClock()):
        pass


async def test_another_process_with_the_same_outbox_is_refused(path: Path) -> None:
    async with opened(path, FakeClock()):
        script = (
            "import sys, pathlib; from edge_agent.outbox import store; store.lock(pathlib.Path(sys.argv[1]))"
        )
        other = subprocess.run(  # noqa: ASYNC221 - nothing else runs
            [sys.executable, "-c", script, str(path)], check=False, capture_output=True, text=True, timeout=60
        )
    assert other.returncode == 1
    assert f"OutboxError: {path}: another agent is using this outbox" in other.stderr.replace(
        "edge_agent.outbox.store.", ""
    )


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    message = await refused(tmp_path / "file" / "outbox.db")
    assert "outbox.path" in message


async def test_a_folder_instead_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()  # noqa: ASYNC240 - nothing else runs
    assert "check the disk, or move the file away" in await refused(path)


async def test_another_identity_is_refused_and_changes_nothing(path: Path) -> None:
    async with opened(path, FakeClock()):
        pass
    for identity in (Identity("east-park", "gw-02"), Identity("west-park", "gw-01")):
        message = await refused(path, identity)
        assert "'east-park', gateway 'gw-01'" in message
        assert "set gateway.site and gateway.id back" in message
    assert ask(path, "SELECT runs FROM outbox") == [(1,)]
    assert ask(path, "SELECT name FROM uplink") == [("city",)]


async def test_an_error_of_the_disk_while_opening_is_one_clear_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    for step in ("edge_agent.outbox.opening.begin_run", "edge_agent.outbox.queries.open_losses"):
        with monkeypatch.context() as patch:
            patch.setattr(step, broken)
            assert "disk I/O error" in await refused(path)
    async with opened(path, FakeClock()):
        pass


async def test_an_opening_that_is_given_up_ends_after_its_look_at_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then it holds the lock: another agent must not salvage what this one still has open."""
    looking, seen, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(*_: object) -> str:
        looking.set()
        seen.wait(10)
        ended.set()
        return "sound"

    monkeypatch.setattr("edge_agent.outbox.recovery.examine", slow)
    opening = asyncio.create_task(Outbox.open(path, EAST, policy(), FakeClock(), ["city"]))
    assert await asyncio.to_thread(looking.wait, 10)
    opening.cancel()
    await asyncio.sleep(0)
    opening.cancel()  # by somebody else
    asyncio.get_running_loop().call_later(0.1, seen.set)
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert ended.is_set()


async def test_an_opening_that_is_given_up_says_nothing_of_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, seen = threading.Event(), threading.Event()

    def slow(*_: object) -> str:
        looking.set()
        seen.wait(10)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("edge_agent.outbox.recovery.examine", slow)
    opening = asyncio.create_task(Outbox.open(path, EAST, policy(), FakeClock(), ["city"]))
    assert await asyncio.to_thread(looking.wait, 10)
    opening.cancel()
    asyncio.get_running_loop().call_later(0.1, seen.set)
    with pytest.raises(asyncio.CancelledError):
        await opening


async def test_an_opening_that_is_given_up_leaves_nothing_behind(path: Path) -> None:
    before = len(open_files())
    gc.disable()  # what it would close has leaked
    for tenths in range(60):
        opening = asyncio.create_task(Outbox.open(path, EAST, policy(), FakeClock(), ["city"]))
        await asyncio.sleep(tenths / 10_000)
        opening.cancel()
        try:
            outbox = await opening
        except asyncio.CancelledError:
            continue
        await outbox.close()
    left = len(open_files()) - before
    gc.enable()
    assert left == 0
    async with opened(path, FakeClock()):
        pass


async def test_a_description_that_changes_is_kept_beside_the_old_one(path: Path) -> None:
    async with opened(path, FakeClock(), devices=["d1"]) as outbox:
        outbox.keep(reading("d1", 1))
        await outbox.enroll("d1", "hash-2", '{"channels":{"humidity":{}}}', NAMES[1:])
        outbox.keep(reading("d1", 2))
        assert await outbox.flush()
        delivery = outbox.deliveries["city"]
        first, second = await delivery.log.read(1, 9, 9)
        assert (first.seq, second.seq) == (1, 2)
        assert (first.body, second.body) == (b"[1,50.5]", b"[50.5]")
        described = await delivery.descriptions()
        assert described[first.meta][0] == "hash"
        assert described[second.meta][0] == "hash-2"
