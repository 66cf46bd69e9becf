"""A card that was mended: what was kept in memory meanwhile goes on from the card, under its own numbers."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson

from edge_agent.event import Event, EventKind
from edge_agent.outbox import volatile
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Policy, Selection
from tests.outbox.shares import keep, opened, settle
from tests.outbox.world import EAST, FakeClock, ask, lost, owed, policy

ALL = {"city": Selection(), "park": Selection(frozenset({"d1"}))}


async def _on_the_card(path: Path, clock: FakeClock, memory: Path, kept_by: Policy | None = None) -> Outbox:
    return await Outbox.open(path, EAST, kept_by or policy(), clock, list(ALL), ALL, adopting=memory)


async def test_what_was_kept_in_memory_goes_on_from_the_card(tmp_path: Path) -> None:
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    async with opened(card, clock, ALL) as outbox:
        await keep(outbox, 5)
        settle(outbox, "city", "d1", 1, 2)
    async with opened(memory, clock, ALL, kept_by=policy(memory=6)) as outbox:
        await keep(outbox, 4)  # of 8 the oldest two have no room
        settle(outbox, "city", "d2", 2, 3)
        epoch = outbox.epoch
    copy = tmp_path / "copy"
    shutil.copytree(memory.parent, copy)
    for again in (False, True):  # as after a crash between the two files
        if again:
            shutil.rmtree(memory.parent)
            shutil.copytree(copy, memory.parent)
        outbox = await _on_the_card(card, clock, memory)
        try:
            assert not memory.exists()
            assert outbox.epoch != epoch
            found: dict[str, list[tuple[str, bool, int, int]]] = {}
            for name, delivery in outbox.deliveries.items():
                for row in await owed(delivery):
                    stream = outbox.streams[row.stream]
                    number = orjson.loads(row.body)[0]
                    found.setdefault(name, []).append((stream.device, stream.epoch == epoch, row.seq, number))
                assert delivery.backlog == len(found[name])
            first = [("d1", False, seq, seq - 1) for seq in range(1, 6)]
            later = [("d1", True, seq, seq - 1) for seq in range(2, 5)]
            assert [one for one in found["park"] if one[0] == "d1"] == first + later
            assert {one[0] for one in found["park"]} == {"d1"}
            assert [one for one in found["city"] if one[0] == "d1"] == first[2:] + later
            assert [one[2] for one in found["city"] if one[:2] == ("d2", True)] == [4]
            for name, devices in (("city", {"d1", "d2"}), ("park", {"d1"})):
                losses = await outbox.deliveries[name].open_losses()
                named = [(outbox.streams[of], seq) for of, seq in lost(losses)]
                expected = {(device, epoch, 1) for device in devices}
                assert {(of.device, of.epoch, seq) for of, seq in named} == expected
            assert outbox.lost == 2
        finally:
            await outbox.close()


async def test_a_new_card_takes_it_at_once(tmp_path: Path) -> None:
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    async with opened(memory, clock, ALL) as outbox:
        await keep(outbox, 4)
    outbox = await _on_the_card(card, clock, memory)
    assert outbox.deliveries["city"].backlog == 8
    assert not any(memory.parent.iterdir())
    await outbox.close()


async def test_what_is_kept_after_an_interrupted_move_comes_too(tmp_path: Path) -> None:
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    async with opened(card, clock, ALL):
        pass
    async with opened(memory, clock, ALL) as outbox:
        await keep(outbox, 4)
    with closing(sqlite3.connect(memory)) as db:
        db.execute("PRAGMA journal_mode=DELETE")
    moved = memory.read_bytes()
    await (await _on_the_card(card, clock, memory)).close()
    volatile.aside(memory).write_bytes(moved)  # as after a crash before it was removed
    async with opened(memory, clock, ALL) as outbox:  # and the card fell again
        await keep(outbox, 3)
    outbox = await _on_the_card(card, clock, memory)
    assert outbox.deliveries["city"].backlog == 8 + 6
    assert len(await owed(outbox.deliveries["city"])) == 8 + 6
    assert not any(memory.parent.iterdir())
    await outbox.close()


async def test_an_uplink_that_was_given_up_hears_of_what_was_kept_since_it_is_back(tmp_path: Path) -> None:
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    async with opened(card, clock, ALL) as outbox:
        await keep(outbox, 2)
    async with opened(card, clock, {"park": ALL["park"]}, kept_by=policy(replay=1)) as outbox:
        clock.wait(11_000)
        await keep(outbox, 3)
        clock.wait(11_000)
        await keep(outbox, 3)
    assert ask(card, "SELECT parked FROM uplink WHERE name = 'city'") == [(-1,)]
    async with opened(memory, clock, ALL) as outbox:
        await keep(outbox, 4)
        epoch = outbox.epoch
    outbox = await _on_the_card(card, clock, memory)
    rows = await owed(outbox.deliveries["city"])
    assert [outbox.streams[row.stream].epoch for row in rows] == [epoch] * 8
    await outbox.close()


async def test_a_card_that_lost_its_end_keeps_the_numbers_apart(tmp_path: Path) -> None:
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    async with opened(card, clock, ALL, devices=()):
        pass
    before = card.read_bytes()
    async with opened(card, clock, ALL) as outbox:
        writer = asyncio.create_task(outbox.run())  # the witness learns what there is
        await asyncio.sleep(0)
        writer.cancel()
        await asyncio.wait({writer})
        await keep(outbox, 5)
        first = outbox.epoch
    card.write_bytes(before)  # its witness knows better
    async with opened(memory, clock, ALL, devices=("d2", "d1")) as outbox:
        await keep(outbox, 4)
        epoch = outbox.epoch
    outbox = await _on_the_card(card, clock, memory)
    rows = await owed(outbox.deliveries["city"])
    found = {(outbox.streams[row.stream].epoch, outbox.streams[row.stream].device) for row in rows}
    assert found == {(epoch, "d1"), (epoch, "d2")}
    closed = [loss for loss in await outbox.deliveries["city"].open_losses() if loss.to_seq is None]
    assert {outbox.streams[loss.stream].epoch for loss in closed} == {first}
    await outbox.close()


async def test_one_that_another_agent_uses_stays(tmp_path: Path) -> None:
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    async with opened(memory, clock, ALL) as other:
        await keep(other, 4)
        outbox = await _on_the_card(card, clock, memory)
        await outbox.close()
        assert memory.exists()
        await keep(other, 4)
        assert len(await owed(other.deliveries["city"])) == 16


async def test_a_reading_that_was_changed_in_memory_is_not_moved(tmp_path: Path) -> None:
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    async with opened(memory, clock, ALL) as outbox:
        await keep(outbox, 4)
    with closing(sqlite3.connect(memory, isolation_level=None)) as db:
        db.execute("UPDATE log SET body = x'5b372c375d' WHERE id = 3")
    outbox = await _on_the_card(card, clock, memory)
    assert not outbox.deliveries["city"].backlog
    assert volatile.aside(memory).exists()
    await outbox.close()


async def test_a_damaged_one_stays_and_the_agent_runs(tmp_path: Path) -> None:
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    for file in (card, memory):
        async with opened(file, clock, ALL) as outbox:
            await keep(outbox, 4)
    memory.write_bytes(memory.read_bytes()[:2000])
    outbox = await _on_the_card(card, clock, memory)
    assert outbox.deliveries["city"].backlog == 8
    assert memory.exists()
    await outbox.close()


async def test_what_was_told_last_while_it_was_in_memory_is_known_on_the_card(tmp_path: Path) -> None:
    """Else a device that fell silent meanwhile is taken for known to be online, and its return is no news."""
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    told: dict[Path, tuple[EventKind, ...]] = {card: ("online",), memory: ("online", "offline")}
    for path, kinds in told.items():
        async with opened(path, clock, ALL) as outbox:
            await outbox.events.enroll()
            for kind in kinds:
                outbox.events.tell(Event(kind, "d1", clock.mono_ms()))
            if path == memory:
                outbox.events.tell(Event("retired", "d2", clock.mono_ms()), "park")
            assert await outbox.flush()
    outbox = await _on_the_card(card, clock, memory)
    try:
        assert outbox.events.latest == {"d1": "offline"}
        assert not outbox.deliveries["city"].retired
        stream, seq = outbox.deliveries["park"].retired["d2"]
        assert (outbox.streams[stream].kind, seq) == ("event", 3)
        assert outbox.deliveries["park"].owes(stream, seq)
    finally:
        await outbox.close()
