"""C20: the broker is not there when the gateway boots, and it is killed before it comes."""

import asyncio

import pytest

from tests.faults.rig import Record, Rig

pytestmark = pytest.mark.xdist_group("faults-c20")


async def test_broker_down_at_boot_and_killed_meanwhile(rig: Rig, record: Record) -> None:
    await rig.link.refuse()
    agent = rig.gateway(rig.link.port)
    await agent.start()
    await agent.until(lambda said: said["kept"] > 200, 60)
    await agent.kill()
    await agent.start()
    await agent.until(lambda said: said["kept"] > 100, 60)
    assert not agent.said["uplinks"][0]["connected"]
    assert await agent.stop() == 0
    await agent.start()
    await asyncio.sleep(1)
    await rig.link.listen()
    counts = await rig.finish(agent)
    record("C20", "no broker at boot, killed and restarted before it comes", counts)
    counts.check()
    assert counts.unkept == 0
    assert counts.kept > 300
