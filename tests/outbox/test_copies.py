"""A copied outbox, on this machine or another: it never gives a number twice that the first one may give."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.outbox import copying, machine, store
from edge_agent.outbox.store import OutboxError
from edge_agent.outbox.witness import Witness
from tests.outbox.world import FakeClock, ask, opened, owed, reading


async def _kept(path: Path, clock: FakeClock, count: int = 3) -> str:
    async with opened(path, clock) as outbox:
        for number in range(count):
            outbox.keep(reading("d1", number))
        await outbox.flush()
        return outbox.epoch


def _moved_here(path: Path, mark: str) -> None:
    """Make the witness say that it was written on another machine."""
    witness = Witness(store.lock(path))
    witness.write(replace(witness.read(), machine=mark))
    witness.close()


@pytest.mark.parametrize("how", ["without its witness", "on another machine"])
async def test_a_copy_begins_an_epoch_and_closes_the_old_one(tmp_path: Path, how: str) -> None:
    clock, first = FakeClock(), tmp_path / "outbox.db"
    epoch = await _kept(first, clock)
    copy = tmp_path / "copy" / "outbox.db"
    copy.parent.mkdir()
    shutil.copy(first, copy)
    if how == "on another machine":
        shutil.copy(f"{first}.witness", f"{copy}.witness")
        _moved_here(copy, "another")
    async with opened(copy, clock) as outbox:
        assert outbox.epoch != epoch
        assert len(await owed(outbox.deliveries["city"])) == 3, "what it was owed is still sent"
        outbox.keep(reading("d1", 9))
        await outbox.flush()
        assert outbox.last_seq("d1") == 1
    assert ask(copy, "SELECT name, origin FROM epoch ORDER BY id") == [
        (epoch, "created"),
        (outbox.epoch, "restored"),
    ]
    ends = "SELECT from_seq, to_seq, readings FROM loss JOIN stream ON stream.id = stream WHERE device = 'd1'"
    assert ask(copy, ends) == [(4, None, None)], "whatever else the first one numbers is not here"


async def test_the_same_file_on_the_same_machine_goes_on(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "outbox.db"
    epoch = await _kept(path, clock)
    _moved_here(path, machine.fingerprint())
    async with opened(path, clock) as outbox:
        assert outbox.epoch == epoch


async def test_a_machine_that_cannot_be_told_is_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, path = FakeClock(), tmp_path / "outbox.db"
    epoch = await _kept(path, clock)
    _moved_here(path, "another")
    monkeypatch.setattr(machine, "fingerprint", lambda: "")  # as in a container without any serial number
    async with opened(path, clock) as outbox:
        assert outbox.epoch == epoch


def test_the_mark_is_the_board_s_before_the_installation_s(tmp_path: Path) -> None:
    board, installation = tmp_path / "serial", tmp_path / "machine-id"
    assert machine.fingerprint((board, installation)) == ""
    installation.write_text("0a0b0c\n")
    of_installation = machine.fingerprint((board, installation))
    board.write_bytes(b"100000003d1f\0")
    of_board = machine.fingerprint((board, installation))
    assert len({"", of_installation, of_board}) == 3
    assert "3d1f" not in of_board


async def test_an_outbox_that_was_set_aside_is_never_written_over(tmp_path: Path) -> None:
    """As when a restore was cut off after it had set the outbox aside, and is run once more."""
    clock, path = FakeClock(), tmp_path / "outbox.db"
    epoch = await _kept(path, clock)
    for number in (1, 2):
        copying.copy_to(path, tmp_path / f"copy-{number}")
    copying.put(tmp_path / "copy-1", path, over=True)
    with pytest.raises(OutboxError, match="set aside there before"):
        copying.put(tmp_path / "copy-2", path, over=True)
    assert ask(Path(f"{path}.before"), "SELECT name FROM epoch") == [(epoch,)]
    async with opened(Path(f"{path}.before"), clock) as outbox:
        assert len(await owed(outbox.deliveries["city"])) == 3


async def test_what_is_only_in_the_log_is_set_aside_with_its_outbox(tmp_path: Path) -> None:
    clock, path, copy = FakeClock(), tmp_path / "outbox.db", tmp_path / "copy"
    await _kept(path, clock)
    copying.copy_to(path, copy)
    with closing(sqlite3.connect(path)) as held:  # so that the log stays, as after a power cut
        held.execute("BEGIN")
        held.execute("SELECT * FROM log").fetchone()
        await _kept(path, clock, 5)
        there = ask(path, "SELECT * FROM log")
        kept = [(file, file.read_bytes()) for file in (path, Path(f"{path}-wal"))]
    assert kept[1][1], "the log holds something"
    for file, content in kept:
        file.write_bytes(content)
    copying.put(copy, path, over=True)
    before = Path(f"{path}.before")
    assert ask(before, "SELECT * FROM log") == there
    assert len(there) > len(ask(path, "SELECT * FROM log"))


def test_a_link_in_the_service_s_folder_leads_root_nowhere(tmp_path: Path) -> None:
    """The folder is the service's; restore and rename, which root runs, write only what is in it."""
    folder, aim, copy = tmp_path / "lib", tmp_path / "shadow", tmp_path / "copy"
    folder.mkdir()
    aim.write_text("root:*:")
    aim.chmod(0o600)
    copy.touch()
    (folder / "outbox.db.witness").symlink_to(aim)
    with pytest.raises(OutboxError, match=r"outbox\.db\.witness"):
        copying.put(copy, folder / "outbox.db", over=False)
    (folder / "outbox.db.witness").unlink()
    (folder / "outbox.db.restored").symlink_to(aim)
    with pytest.raises(OSError, match=r"outbox\.db\.restored"):
        copying.put(folder / "outbox.db.restored", folder / "outbox.db", over=False)
    assert (aim.read_text(), aim.stat().st_mode & 0o777) == ("root:*:", 0o600)
