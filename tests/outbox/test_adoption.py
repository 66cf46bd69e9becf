"""A card that was mended: what was kept in memory meanwhile goes on from the card, under its own numbers."""

import shutil
from pathlib import Path

import orjson

from edge_agent.outbox.apart import Selection
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.rows import Policy
from tests.outbox.shares import keep, opened, settle
from tests.outbox.world import EAST, FakeClock, lost, owed, policy

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


async def test_a_new_card_leaves_it_to_the_next_start(tmp_path: Path) -> None:
    card, memory, clock = tmp_path / "outbox.db", tmp_path / "memory" / "outbox.db", FakeClock()
    async with opened(memory, clock, ALL) as outbox:
        await keep(outbox, 4)
    for backlog in (0, 8):
        outbox = await _on_the_card(card, clock, memory)
        assert outbox.deliveries["city"].backlog == backlog
        assert memory.exists() == (not backlog)
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
