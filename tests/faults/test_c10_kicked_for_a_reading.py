"""C10: what the broker refuses.

A fault of the uplink holds all and loses nothing; one of the reading is quarantined, and the rest flows.
"""

import json

import pytest

from tests.faults.rig import Gateways, Record
from tests.faults.store import stored
from tests.faults.stub import TAKEN, Behaviour, Published, Stub
from tests.faults.witness import Witness, judge

pytestmark = pytest.mark.xdist_group("faults-c10")


@pytest.mark.parametrize("code", [0x95])
async def test_one_reading_is_refused_and_the_rest_flows(
    code: int, gateways: Gateways, record: Record
) -> None:
    witness = Witness()
    poison = 50

    def verdict(message: Published) -> int | None:
        if "/data/" in message.topic or "/history/" in message.topic:
            said = json.loads(message.payload)
            numbers = [item["values"]["temperature"] for item in said["readings"]]
            if said["device"] == "d1" and poison in numbers:
                return code
        witness.hear(message.topic, message.payload)
        return TAKEN

    async with Stub(Behaviour(verdict)) as stub:
        agent = gateways.gateway(stub.port, most=300)
        await agent.start()
        await agent.until(lambda said: said["kept"] == 600, 60)
        await agent.drained(100)
        assert await agent.stop() == 0
    counts = judge(witness, stored(agent.outbox), agent.truth)
    record("C10", f"PUBACK 0x{code:02x} for one reading", counts)
    counts.check()
    assert (counts.kept, counts.delivered, counts.declared) == (600, 599, 1)
    assert [loss["reason"] for loss in witness.losses.values()] == ["rejected"]
