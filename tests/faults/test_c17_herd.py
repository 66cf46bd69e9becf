"""C17: many agents come back after a broker's restart; a kick right after CONNACK backs off too."""

import asyncio

import pytest

from tests.faults.gateway import Gateway, Said, config
from tests.faults.rig import Gateways, Record, Rig
from tests.faults.store import stored
from tests.faults.stub import Behaviour, Stub
from tests.faults.witness import judge

pytestmark = pytest.mark.xdist_group("faults-c17")

_PER_PROCESS = 50


@pytest.mark.parametrize(
    "agents", [50, pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])]
)
async def test_a_herd_comes_back_spread_out(agents: int, rig: Rig, record: Record) -> None:
    processes = []
    for first in range(0, agents, _PER_PROCESS):
        folder = rig.folder / f"herd-{first}"
        folder.mkdir()
        files = [
            config(
                folder, rig.link.port, gateway=f"gw-{at}", devices=[f"d{at}"],
                outbox=folder / f"outbox-{at}.db", window="500ms",
            )
            for at in range(first, first + _PER_PROCESS)
        ]  # fmt: skip
        processes.append(Gateway(folder, files, folder, rate=1))
    rig.made.extend(processes)
    for process in processes:
        await process.start()
    for process in processes:
        await _all_connected(process)
    for _ in range(3):  # a machine that pauses brings together who comes after it, but not each time
        came = await _come_back(rig, processes)
        most = max(sum(1 for at in came if start <= at < start + 0.25) for start in came)
        if most <= agents / 2:
            break
    for process in processes:
        await process.drained(100)
        assert await process.stop() == 0
    paths = [path for process in processes for path in process.folder.glob("outbox-*.db")]
    kept = stored(*paths)
    await asyncio.to_thread(rig.witness.wait, lambda heard: heard.distinct >= sum(kept.tops.values()), 60)
    truth = rig.folder / "truth"
    truth.mkdir()
    for process in processes:
        for one in process.truth.iterdir():
            one.rename(truth / one.name)
    counts = judge(rig.witness, kept, truth)
    record(
        "C17", f"{agents} agents come back after a broker's restart", counts,
        back_within_s=round(came[-1] - came[0], 1), most_in_250_ms=most,
    )  # fmt: skip
    counts.check()
    assert counts.unkept == 0
    assert len(came) >= agents
    assert most <= agents / 2, "they all came at once"


async def _come_back(rig: Rig, processes: list[Gateway]) -> list[float]:
    """Take the broker away for a while; return when each connection reached it again."""
    await rig.broker.stop()
    for process in processes:
        await process.until(lambda _: not any(map(_connected, process.by_gateway.values())), 60)  # noqa: B023 - used at once
    await asyncio.sleep(2)
    back = asyncio.get_running_loop().time()  # some come while it starts
    await rig.broker.start()
    for process in processes:
        await _all_connected(process)
    return sorted(at for at in rig.link.opened if at >= back)


def _connected(said: Said) -> bool:
    return bool(said["uplinks"]) and said["uplinks"][0]["connected"]


async def _all_connected(process: Gateway) -> None:
    await process.until(
        lambda _: (
            len(process.by_gateway) == len(process.configs)
            and all(_connected(said) for said in process.by_gateway.values())
        ),
        100,
    )


@pytest.mark.parametrize(
    ("seconds", "most"),
    [(12, 12), pytest.param(240, 30, marks=[pytest.mark.soak, pytest.mark.timeout(600)])],
)
async def test_a_kick_after_connack_backs_off(
    seconds: float, most: int, gateways: Gateways, record: Record
) -> None:
    async with Stub(Behaviour(kick=True)) as stub:
        agent = gateways.gateway(stub.port)
        await agent.start()
        await asyncio.sleep(seconds)
        async with asyncio.timeout(60):
            while len(stub.heard.connects) < 3:  # noqa: ASYNC110 - the stub has no event for it
                await asyncio.sleep(0.05)
        assert await agent.stop() == 0
        tried = [at for at, _, _ in stub.heard.connects]
    lines = len(agent.lines("WARNING"))
    record("C17", f"a kick after each CONNACK, {seconds} s", connects=len(tried), warnings=lines)
    assert len(tried) <= most
    assert tried[-1] - tried[0] > 0.9 * (len(tried) - 1), "no two at once, but for a pause of this process"
    assert lines <= len(tried)


async def test_wrong_credentials_are_tried_slowly(gateways: Gateways, record: Record) -> None:
    async with Stub(Behaviour(connack=0x86)) as stub:
        agent = gateways.gateway(stub.port)
        await agent.start()
        await agent.until(lambda said: "password" in said["uplinks"][0]["problem"], 60)
        await asyncio.sleep(12)
        problem = agent.said["uplinks"][0]["problem"]
        assert await agent.stop() == 0
    record("C17", "a login that is refused, 12 s", connects=len(stub.heard.connects))
    assert len(stub.heard.connects) == 1
    assert "password" in problem
