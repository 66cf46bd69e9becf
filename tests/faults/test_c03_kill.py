"""C3: SIGKILL at random instants, at full rate."""

import asyncio
import random

import pytest

from tests.faults.rig import Record, Rig

pytestmark = pytest.mark.xdist_group("faults-c03")


@pytest.mark.parametrize(
    ("kills", "rate"),  # readings a second of each of two devices; a busy machine keeps up with the first one
    [
        (8, 400),
        pytest.param(50, 1000, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
        pytest.param(500, 1000, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
)
async def test_kill_at_random_instants(kills: int, rate: int, rig: Rig, record: Record) -> None:
    chance = random.Random(3)
    agent = rig.gateway(rig.link.port, rate=rate)
    for _ in range(kills):
        await agent.start()
        await asyncio.sleep(chance.uniform(0.05, 2.5))
        await agent.kill()
    await agent.start()
    counts = await rig.finish(agent, 300)
    record("C3", f"{kills} SIGKILLs at {2 * rate} readings/s", counts)
    counts.check()
    assert counts.unkept == 0
    assert counts.excused <= kills * 2 * rate * 1.0, "more was lost than ten commit windows"
