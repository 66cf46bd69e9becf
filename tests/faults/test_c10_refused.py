"""C10: what the broker refuses.

A fault of the uplink holds all and loses nothing; one of the reading is quarantined, and the rest flows.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.rig import Gateways, Record, Rig, standing
from tests.faults.store import stored
from tests.faults.stub import TAKEN, Behaviour, Published, Stub
from tests.faults.witness import Witness, judge

pytestmark = pytest.mark.xdist_group("faults-c10")

_OURS = "park/v1/east-park/gw-01"
_RIGHTS = [
    "topic read #",
    *(
        f"topic write {_OURS}/{name}"
        for name in ("status", "health", "meta/#", "state/#", "loss/#", "event/#")
    ),
]
_SECONDS = 8


@pytest.fixture
async def guarded(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with standing(tmp_path, **request.param) as made:
        yield made


@pytest.mark.parametrize("guarded", [{"acl": True}], indirect=True)
async def test_an_acl_denies_and_is_mended(guarded: Rig, record: Record) -> None:
    rig = guarded
    rig.broker.allow(*_RIGHTS)
    await rig.reload()
    agent = rig.gateway(rig.link.port)
    await agent.start()
    await agent.connected()
    await agent.until(lambda said: said["uplinks"][0]["problem"], 60)
    problem = agent.said["uplinks"][0]["problem"]
    await asyncio.sleep(_SECONDS)
    assert rig.witness.distinct == 0
    lines = len(agent.lines("WARNING"))
    rig.broker.allow(*_RIGHTS, f"topic write {_OURS}/data/#", f"topic write {_OURS}/history/#")
    await rig.reload()
    counts = await rig.finish(agent)
    record("C10", f"an ACL denies for {_SECONDS} s and is mended", counts, warnings=lines)
    counts.check()
    assert counts.unkept == 0
    assert counts.declared == 0, "a refusal of the uplink gave readings up"
    assert "ACL" in problem
    assert lines <= 3, "\n".join(agent.lines("WARNING"))


@pytest.mark.parametrize("code", [0x87, 0x97, 0x80, 0x83, 0x90])
async def test_a_refusal_of_the_uplink_loses_nothing(code: int, gateways: Gateways, record: Record) -> None:
    witness = Witness()
    bad = asyncio.Event()
    bad.set()
    probes = 0

    def verdict(message: Published) -> int | None:
        nonlocal probes
        if bad.is_set() and ("/data/" in message.topic or "/history/" in message.topic):
            probes += 1
            return code
        witness.hear(message.topic, message.payload)
        return TAKEN

    async with Stub(Behaviour(verdict)) as stub:
        agent = gateways.gateway(stub.port)
        await agent.start()
        await agent.until(lambda said: said["uplinks"][0]["problem"], 60)
        await asyncio.sleep(4)
        tried = probes
        bad.clear()
        await agent.until(lambda said: said["uplinks"][0]["backlog"] < 50, 100)
        await agent.drained(60)
        assert await agent.stop() == 0
    counts = judge(witness, stored(agent.outbox), agent.truth)
    record("C10", f"PUBACK 0x{code:02x} for all readings, 4 s", counts, probes=tried)
    counts.check()
    assert counts.unkept == counts.declared == 0
    assert tried <= 40, "the agent does not wait between its probes"


@pytest.mark.parametrize("code", [0x99, 0x95])  # 0x95 is none for a PUBACK: the connection ends at it
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


@pytest.mark.parametrize("guarded", [{"extra": ["max_packet_size 2500"]}], indirect=True)
async def test_messages_fit_the_brokers_packet(guarded: Rig, record: Record) -> None:
    agent = await guarded.backlog(10_000)
    agent.rate, agent.most = 20, None
    await agent.start()
    counts = await guarded.finish(agent)
    largest = guarded.witness.largest
    record("C10", "a broker that takes packets of 2500 bytes", counts, largest=largest)
    counts.check()
    assert counts.unkept == counts.declared == 0
    assert 0 < largest <= 2500


async def test_receive_maximum_is_kept(gateways: Gateways, record: Record) -> None:
    witness = Witness()

    def verdict(message: Published) -> int | None:
        witness.hear(message.topic, message.payload)
        return TAKEN

    async with Stub(Behaviour(lambda _message: None, receive_maximum=3)) as stub:
        agent = gateways.gateway(stub.port, ack_timeout="1s")
        await agent.start()
        await asyncio.sleep(6)
        assert stub.heard.most_unacked <= 3
        stub.behaviour.verdict = verdict
        await agent.until(lambda said: said["uplinks"][0]["backlog"] < 50, 100)
        await agent.drained(60)
        assert await agent.stop() == 0
    counts = judge(witness, stored(agent.outbox), agent.truth)
    record("C10", "Receive Maximum 3", counts, most_in_flight=stub.heard.most_unacked)
    counts.check()
    assert stub.heard.most_unacked <= 3
