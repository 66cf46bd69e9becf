"""C23: a broker restarts without persistence; what should be retained comes back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.rig import Record, Rig, standing
from tests.faults.witness import watching

pytestmark = pytest.mark.xdist_group("faults-c23")


@pytest.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[Rig]:
    async with standing(tmp_path, persistence=False) as made:
        yield made


async def test_retained_state_comes_back(forgetful: Rig, record: Record) -> None:
    rig = forgetful
    agent = rig.gateway(rig.link.port)
    await agent.start()
    await agent.connected()
    await agent.until(lambda said: said["uplinks"][0]["acknowledged"] > 50, 60)
    await agent.drained(60)  # what a broker without persistence has taken and not passed on dies with it
    wanted = {"status", "meta/d1", "meta/d2", "state/d1", "state/d2"}
    assert await asyncio.to_thread(rig.witness.wait, lambda heard: wanted <= set(heard.retained), 60)
    last = {f"state/{one['id']}": one["values"]["temperature"] for one in agent.said["devices"]}
    assert await asyncio.to_thread(  # states go at most once a second
        rig.witness.wait,
        lambda heard: all(heard.retained[name].get("temperature") == value for name, value in last.items()),
        60,
    )
    before = dict(rig.witness.retained)
    await rig.broker.stop()
    await agent.until(lambda said: not said["uplinks"][0]["connected"], 60)
    await rig.broker.start()
    await agent.connected()
    with watching(rig.broker.port, "park/v1/+/+/+/#") as late:
        came = await asyncio.to_thread(late.wait, lambda heard: wanted <= set(heard.retained), 60)
        after = dict(late.retained)
    assert came, f"only {sorted(after)} came back"
    counts = await rig.finish(agent)
    record("C23", "a broker restarts without persistence", counts, retained=len(after))
    counts.check()
    assert after["status"]["state"] == "online"
    assert after["status"]["session"] > before["status"]["session"]
    for name in wanted - {"status"}:
        assert after[name] == before[name], "a value was stamped again, or a description changed"
