"""C1: packets vanish while live, and nobody is told."""

import asyncio
import random

import pytest

from tests.faults.rig import Record, Rig

pytestmark = pytest.mark.xdist_group("faults-c01")


@pytest.mark.parametrize(
    "seconds", [10, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
async def test_silent_cut_while_live(seconds: float, rig: Rig, record: Record) -> None:
    agent = rig.gateway(rig.link.port, ack_timeout="3s")
    await agent.start()
    await agent.connected()
    await asyncio.sleep(random.Random(1).uniform(1, 3))
    assert await asyncio.to_thread(rig.witness.wait, lambda heard: heard.distinct, 60)
    rig.link.swallow = True
    await asyncio.sleep(seconds)
    async with asyncio.timeout(60):  # in which it notices that nothing is acknowledged
        while (sessions := len(rig.link.accepted)) < 2:  # noqa: ASYNC110 - the link has no event for it
            await asyncio.sleep(0.05)
    rig.link.swallow = False
    await agent.until(lambda said: said["uplinks"][0]["backlog"] < 100, 120)
    counts = await rig.finish(agent)
    record("C1", f"silent cut of {seconds} s while live, 100 readings/s", counts, sessions=sessions)
    counts.check()
    assert counts.unkept == 0
    assert rig.witness.lanes["history"], "the backlog did not go on its own topic"
