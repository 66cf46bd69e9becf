"""C16: the broker took the message, and its PUBACK never came."""

import asyncio

import pytest

from tests.faults.rig import Record, Rig

pytestmark = pytest.mark.xdist_group("faults-c16")


async def test_pubacks_are_lost_with_the_connection(rig: Rig, record: Record) -> None:
    agent = rig.gateway(rig.link.port)
    await agent.start()
    await agent.connected()
    for _ in range(3):
        await agent.until(lambda said: said["uplinks"][0]["in_flight"] == 0, 60)
        rig.link.withhold = True
        before = rig.link.acks_kept_back
        async with asyncio.timeout(60):
            while rig.link.acks_kept_back < before + 3:  # noqa: ASYNC110 - the link has no event for it
                await asyncio.sleep(0.02)
        await rig.link.cut()
        rig.link.withhold = False
        sessions = len(rig.link.accepted)
        async with asyncio.timeout(60):
            while len(rig.link.accepted) == sessions:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
        await agent.connected()
    counts = await rig.finish(agent)
    record("C16", "PUBACKs lost with the connection, 3 times", counts, acks_lost=rig.link.acks_kept_back)
    counts.check()
    assert counts.unkept == 0
    assert counts.duplicates, "nothing was sent again: the fault did not happen"
