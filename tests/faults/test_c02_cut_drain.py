"""C2: a drain that is cut again and again, at random bytes, and killed in between."""

import asyncio
import random

import pytest

from tests.faults.rig import Record, Rig

pytestmark = pytest.mark.xdist_group("faults-c02")


@pytest.mark.timeout(300)
async def test_drain_is_cut_and_killed(rig: Rig, record: Record) -> None:
    chance = random.Random(2)
    rows, cuts, kills = 60_000, 20, 5
    agent = await rig.backlog(rows)
    agent.rate, agent.most = 20, None
    rig.link.rate = 150_000  # so that the drain lasts longer than the faults
    turns = ["cut"] * cuts + ["kill"] * kills
    chance.shuffle(turns)
    await agent.start()
    for turn in turns:
        if turn == "cut":
            before = rig.link.cuts
            rig.link.cut_after = chance.randrange(200, 60_000)
            async with asyncio.timeout(60):
                while rig.link.cuts == before:  # noqa: ASYNC110 - the link has no event for it
                    await asyncio.sleep(0.02)
        else:
            before = rig.link.up
            async with asyncio.timeout(60):
                while rig.link.up < before + chance.randrange(5_000, 60_000):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
            await agent.kill()
            await agent.start()
    rig.link.rate = None
    counts = await rig.finish(agent)
    record("C2", f"a drain of {rows} cut {cuts} times and killed {kills} times", counts)
    counts.check()
    assert counts.unkept == 0
    # a cut or a kill may cost what was in flight and what was not marked yet, not the whole backlog again
    assert counts.duplicates < counts.kept
