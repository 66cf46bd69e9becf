"""Damaged, truncated and emptied outboxes: the agent always starts, and accounts for every number.

Each case damages a copy of a real file at a seeded place, opens it, keeps new readings, and reads all that is
owed. Every reading of the old file must come out as it was kept, be acknowledged, or lie in the loss ledger.
"""

import asyncio
import logging
import random
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from edge_agent.outbox.carve import carve
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.store import DamagedError, DiskError, OutboxError
from edge_agent.row import Row
from tests.outbox.world import NAMES, FakeClock, open_outbox, reading

DEVICES = ("d1", "d2", "d3")
EACH, NEW, ACKNOWLEDGED = 700, 10, 40
CASES_IN_A_TEST = 20
DESCRIPTION = '{"channels":{"temperature":{},"humidity":{}}}'


@pytest.fixture(autouse=True)
def same_names_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs are named by chance; here by a seed, so that a case is the same bytes in every run."""
    monkeypatch.setattr("edge_agent.outbox.epochs.secrets", random.Random(7))


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.CRITICAL):
        yield


async def keep(outbox: Outbox, count: int) -> None:
    """Keep so many readings of each device; the number says which one it is."""
    writing = asyncio.create_task(outbox.run())
    for number in range(1, count + 1):
        for device in DEVICES:
            outbox.keep(reading(device, number), immediate=number % 50 == 0)
        if number % 50 == 0:
            await asyncio.sleep(0.002)  # many commits, as in life
    done = asyncio.create_task(written(outbox))
    await asyncio.wait((writing, done), return_when=asyncio.FIRST_COMPLETED, timeout=60)
    failed = writing.done()
    for task in (writing, done):
        task.cancel()
    await asyncio.wait((writing, done))
    if failed:
        writing.result()


async def written(outbox: Outbox) -> None:
    while outbox.waiting:  # noqa: ASYNC110 - the outbox tells nobody but its uplinks
        await asyncio.sleep(0.005)


async def originals(folder: Path) -> tuple[Path, Path]:
    """Make one outbox, as a crash leaves it and as a stop leaves it."""
    live, crashed, clean = folder / "live", folder / "crashed", folder / "clean"
    live.mkdir()
    outbox = await open_outbox(live / "o.db", FakeClock(), devices=DEVICES)
    await keep(outbox, EACH)
    first = min(outbox.streams)
    outbox.deliveries["city"].settle(first, 1, ACKNOWLEDGED)
    shutil.copytree(live, crashed)
    await outbox.close()
    shutil.copytree(live, clean)
    return crashed, clean


def damaged(folder: Path) -> Path:
    """Mark a file as one that was seen to be damaged."""
    path = folder / "o.db"
    head, _, rest = path.with_name("o.db.witness").read_text().partition("\n")
    path.with_name("o.db.witness").write_text(head.replace("open", "damaged").strip().ljust(63) + "\n" + rest)
    return path


def damage(folder: Path, chance: random.Random) -> str:
    """Damage one file somewhere, and say how."""
    files = [file for file in (folder / "o.db", folder / "o.db", folder / "o.db-wal") if file.exists()]
    file = chance.choice(files)
    content = bytearray(file.read_bytes())
    how = chance.choice(["flip", "flip", "truncate", "empty", "page", "header"])
    if how == "flip":
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif how == "truncate":
        del content[chance.randrange(len(content)) :]
    elif how == "empty":
        content.clear()
    elif how == "page":
        at = chance.randrange(len(content)) // 1024 * 1024
        content[at : at + 1024] = chance.randbytes(1024)
    else:
        at = chance.randrange(100)
        content[at : at + 8] = chance.randbytes(8)
    file.write_bytes(content)
    return f"{folder.name} {file.name} {how}"


async def run_on(path: Path) -> tuple[Outbox, list[tuple[int, int, float]]]:
    """Open it, as often as it says that it is damaged; keep a few readings, and read all that is owed."""
    for _ in range(3):
        try:
            outbox = await open_outbox(path, FakeClock(), devices=())
        except DamagedError:
            continue
        try:
            for device in DEVICES:
                await outbox.enroll(device, "hash", DESCRIPTION, NAMES)
            await keep(outbox, NEW)
            delivery = outbox.deliveries["city"]
            found, at = [], delivery.scan_from
            while rows := await delivery.log.read(at, outbox.last_id, 500):
                found += [
                    (row.stream, row.seq, orjson.loads(row.body)[0])
                    for row in rows
                    if delivery.owes(row.stream, row.seq)
                ]
                at = rows[-1].id + 1
        except DamagedError:
            await outbox.close()
        else:
            return outbox, found
    raise AssertionError("it never became usable")


async def judge(outbox: Outbox, found: list[tuple[int, int, float]], case: str) -> None:
    """See that every reading is accounted for, and none is wrong."""
    delivery = outbox.deliveries["city"]
    place = {id_: (stream.epoch, stream.device) for id_, stream in outbox.streams.items()}
    came: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for stream, seq, number in found:
        came[place[stream]][seq] = number
    given_up: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for loss in await delivery.open_losses():
        end = float("inf") if loss.to_seq is None else loss.to_seq
        given_up[place[loss.stream]].append((loss.from_seq, end))
    first_epoch = place[min(place)][0]
    for device in DEVICES:
        here = (first_epoch, device)
        for seq in range(1, EACH + 1):
            if seq in came[here]:
                assert came[here][seq] == seq, f"{case}: {here} {seq} is not what was kept"
                continue
            acknowledged = device == DEVICES[0] and seq <= ACKNOWLEDGED
            declared = any(first <= seq <= last for first, last in given_up[here])
            assert acknowledged or declared, f"{case}: nobody accounts for {here} {seq}"
        assert len(came[outbox.epoch, device]) >= NEW, f"{case}: new readings of {device} are missing"


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_is_damaged_every_number_is_accounted_for(seed: int, tmp_path: Path) -> None:
    sources = await originals(tmp_path)
    chance = random.Random(seed)
    for number in range(CASES_IN_A_TEST):
        folder = shutil.copytree(chance.choice(sources), tmp_path / f"{seed}-{number}")
        case = f"seed {seed}, case {number}: {damage(folder, chance)}"
        outbox, found = await run_on(folder / "o.db")
        try:
            await judge(outbox, found, case)
        finally:
            await outbox.close()
        damage(folder, chance)  # once more: salvage must come to an end each time
        outbox, _ = await run_on(folder / "o.db")
        await outbox.close()
        shutil.rmtree(folder)


async def test_a_sound_file_keeps_its_epoch(tmp_path: Path) -> None:
    for folder in await originals(tmp_path):
        outbox, found = await run_on(folder / "o.db")
        assert len(outbox.streams) == len(DEVICES)
        assert len(found) == len(DEVICES) * (EACH + NEW) - (ACKNOWLEDGED if folder.name == "clean" else 0)
        await outbox.close()


async def test_a_file_that_is_older_than_its_witness_begins_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    outbox = await open_outbox(path, FakeClock(), devices=DEVICES)
    await keep(outbox, 20)
    await outbox.close()
    backup = path.read_bytes()
    outbox = await open_outbox(path, FakeClock(), devices=DEVICES)
    before = outbox.epoch
    await keep(outbox, 20)
    await outbox.close()
    path.write_bytes(backup)  # restored
    outbox = await open_outbox(path, FakeClock(), devices=DEVICES)
    assert outbox.epoch != before
    losses = await outbox.deliveries["city"].open_losses()
    assert {(loss.from_seq, loss.to_seq, loss.reason) for loss in losses} == {(21, None, "damage")}
    await outbox.close()


async def test_an_interrupted_salvage_is_done_again(tmp_path: Path) -> None:
    """The power fails after the file was set aside, and before its write-ahead log was."""
    crashed, _ = await originals(tmp_path)
    path = damaged(crashed)
    path.replace(path.with_name("o.db.damaged"))
    outbox, found = await run_on(path)
    assert len([seq for _, seq, _ in found]) == len(DEVICES) * (EACH + NEW)
    await outbox.close()


async def test_a_salvage_that_is_given_up_holds_the_lock_until_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed, _ = await originals(tmp_path)
    path, begun, go_on, ended = damaged(crashed), threading.Event(), threading.Event(), threading.Event()

    def slow(source: Path) -> Iterator[Row]:
        begun.set()
        assert go_on.wait(20)
        yield from carve(source)
        ended.set()

    with monkeypatch.context() as patch:
        patch.setattr("edge_agent.outbox.recovery.carve", slow)
        patch.setattr("edge_agent.outbox.recovery._LOOK_EVERY", 10)
        opening = asyncio.create_task(open_outbox(path, FakeClock(), devices=()))
        assert await asyncio.to_thread(begun.wait, 20)
        opening.cancel()
        await asyncio.sleep(0.1)
        with pytest.raises(OutboxError, match="another agent is using"):
            await open_outbox(path, FakeClock(), devices=())
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert not ended.is_set(), "it went on to the end"
    assert not path.exists()
    outbox, found = await run_on(path)
    assert len(found) == len(DEVICES) * (EACH + NEW)
    await outbox.close()


async def test_salvage_takes_the_room_of_the_file_once_more_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, clean = await originals(tmp_path)
    path = clean / "o.db"
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    size, sizes = path.stat().st_size, []

    def synced(_path: Path) -> None:
        sizes.append(sum(file.stat().st_size for file in clean.iterdir()))

    monkeypatch.setattr("edge_agent.outbox.recovery._sync", synced)
    with monkeypatch.context() as patch:
        patch.setattr("edge_agent.outbox.recovery._free", lambda _path: size - 1)
        with pytest.raises(DiskError, match=r"takes 0\.\d MB more"):
            await open_outbox(path, FakeClock(), devices=())
    assert not sizes
    outbox, _ = await run_on(path)
    await outbox.close()
    assert max(sizes) < 2.2 * size
