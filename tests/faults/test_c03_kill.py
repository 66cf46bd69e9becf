"""C3: SIGKILL at random instants, at full rate."""

import asyncio
import random

import pytest

from tests.faults.rig import Record, Rig

pytestmark = pytest.mark.xdist_group("faults-c03")


@pytest.mark.parametrize(
    "kills",
    [
        8,
        pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
        pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
)
async def test_kill_at_random_instants(kills: int, rig: Rig, record: Record) -> None:
    chance = random.Random(3)
    agent = rig.gateway(rig.link.port, rate=1000)
    for _ in range(kills):
        await agent.start()
        await asyncio.sleep(chance.uniform(0.05, 2.5))
        await agent.kill()
    await agent.start()
    counts = await rig.finish(agent, 300)
    record("C3", f"{kills} SIGKILLs at 2000 readings/s", counts)
    counts.check()
    assert counts.unkept == 0
    assert counts.excused <= kills * 2000 * 1.0, "more was lost than ten commit windows"
