"""C16: one PUBACK is lost while the others come, and must not hold `settled` for ever."""

import asyncio
import json

import pytest

from tests.faults.rig import Gateways, Record
from tests.faults.store import stored
from tests.faults.stub import TAKEN, Behaviour, Published, Stub
from tests.faults.witness import Witness, judge

pytestmark = pytest.mark.xdist_group("faults-c16")


async def test_one_puback_is_lost_while_the_others_come(gateways: Gateways, record: Record) -> None:
    witness = Witness()
    lost: list[Published] = []

    def all_but_one(message: Published) -> int | None:
        if not lost and message.number > 30 and "/data/d1" in message.topic:
            lost.append(message)
            return None
        witness.hear(message.topic, message.payload)
        return TAKEN

    async with Stub(Behaviour(all_but_one)) as stub:
        agent = gateways.gateway(stub.port, ack_timeout="1s")
        await agent.start()
        await agent.until(lambda said: lost and said["uplinks"][0]["acknowledged"] > 200, 60)
        last = json.loads(lost[0].payload)["readings"][-1]["seq"]
        key = next(key for key in witness.readings if key[0] == "d1")
        moved = await asyncio.to_thread(witness.wait, lambda heard: heard.settled[key] >= last, 60)
        settled = witness.settled[key]
        assert moved, f"one lost PUBACK holds `settled` at {settled}, below {last}, while the session lives"
        await agent.drained(60)
        assert await agent.stop() == 0
    counts = judge(witness, stored(agent.outbox), agent.truth)
    record("C16", "one PUBACK lost while the others come", counts, sessions=len(stub.heard.connects))
    counts.check()
    assert counts.unkept == 0
