"""C24: two uplinks on one log; what happens to one costs the other nothing."""

import asyncio

import pytest

from tests.faults import broker as brokers
from tests.faults.gateway import Said
from tests.faults.rig import WINDOW_MS, Record, Rig
from tests.faults.store import stored
from tests.faults.witness import judge, watching

pytestmark = pytest.mark.xdist_group("faults-c24")


def _uplinks(said: Said) -> dict[str, Said]:
    return {uplink["name"]: uplink for uplink in said["uplinks"]}


async def test_one_of_two_brokers_is_down_for_a_long_time(rig: Rig, record: Record) -> None:
    async with brokers.running(rig.folder / "park") as park:
        with watching(park.port) as beside:
            await park.stop()
            second = f'[uplink.park]\nservers = ["mqtt://127.0.0.1:{park.port}"]\nspread = "0s"\n'
            agent = rig.gateway(rig.link.port, uplink=second)
            await agent.start()
            await agent.until(lambda said: _uplinks(said)["city"]["acknowledged"] > 300, 60)
            await agent.kill()
            await agent.start()
            await agent.until(lambda said: said["kept"] > 600, 60)
            assert _uplinks(agent.said)["park"]["acknowledged"] == 0
            assert _uplinks(agent.said)["park"]["backlog"] > 600
            await rig.link.cut()
            await agent.connected()
            live = rig.witness.lanes["live"]
            assert await asyncio.to_thread(
                rig.witness.wait, lambda heard: heard.lanes["live"] > live + 100, 60
            )
            assert _uplinks(agent.said)["park"]["acknowledged"] == 0
            await park.start()
            await agent.connected()
            await agent.drained(100)
            said = agent.said
            assert await agent.stop() == 0, agent.tail()
            kept = stored(agent.outbox)
            total = sum(kept.tops.values())
            await asyncio.to_thread(beside.wait, lambda heard: heard.distinct >= total, 60)
        at_city = await rig.judged(agent)
        at_park = judge(beside, kept, agent.truth, agent.kills, WINDOW_MS * 10)
        record("C24", "one broker down from the start, a kill meanwhile: the city's", at_city)
        record("C24", "one broker down from the start, a kill meanwhile: the park's own", at_park)
        for counts in (at_city, at_park):
            counts.check()
            assert counts.delivered == total
        assert beside.history_back == 0, "the backlog came out of order"
        assert beside.lanes["history"] > 600
        assert beside.duplicates == 0, "the park's readings were sent while nobody could take them"
        for uplink in _uplinks(said).values():
            assert uplink["backlog"] == 0
        assert _uplinks(said)["park"]["acknowledged"] == total
