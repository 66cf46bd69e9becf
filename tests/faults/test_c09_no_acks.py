"""C9: a broker that takes connections and messages, and acknowledges nothing, or only a part."""

import asyncio

import pytest

from tests.faults.rig import WINDOW_MS, Gateways, Record
from tests.faults.store import stored
from tests.faults.stub import TAKEN, Behaviour, Published, Stub, Verdict
from tests.faults.witness import Witness, judge

pytestmark = pytest.mark.xdist_group("faults-c09")

_SECONDS = 12


def never(_message: Published) -> int | None:
    return None


def seven(message: Published) -> int | None:
    return TAKEN if message.number <= 7 else None


def every_third_not(message: Published) -> int | None:
    return None if message.number % 3 == 0 else TAKEN


@pytest.mark.parametrize(
    "verdict", [pytest.param(never, id="never"), pytest.param(seven, id="the first seven of a session")]
)
async def test_acks_stop(
    verdict: Verdict, gateways: Gateways, record: Record, request: pytest.FixtureRequest
) -> None:
    witness = Witness()

    def judged(message: Published) -> int | None:
        code = verdict(message) if bad.is_set() else TAKEN
        if code == TAKEN:
            witness.hear(message.topic, message.payload)
        return code

    bad = asyncio.Event()
    bad.set()
    async with Stub(Behaviour(judged)) as stub:
        agent = gateways.gateway(stub.port, ack_timeout="1s")
        await agent.start()
        await asyncio.sleep(_SECONDS)
        sessions = len(stub.heard.connects)
        assert sessions >= 2, "the agent did not notice that acknowledgements stop"
        assert sessions <= _SECONDS, "the agent does not back off"
        owed = agent.said["uplinks"][0]["backlog"]
        assert owed, "readings count as delivered that were never acknowledged"
        bad.clear()
        await agent.until(lambda said: said["uplinks"][0]["backlog"] < 50, 100)
        await agent.drained(60)
        assert await agent.stop() == 0
    counts = judge(witness, stored(agent.outbox), agent.truth, agent.kills, 10 * WINDOW_MS)
    record(
        "C9", f"a broker that acknowledges {request.node.callspec.id}, {_SECONDS} s", counts,
        sessions=sessions, most_in_flight=stub.heard.most_unacked,
    )  # fmt: skip
    counts.check()
    assert counts.unkept == 0
    assert stub.heard.most_unacked <= 20
