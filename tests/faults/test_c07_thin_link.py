"""C7: a backlog over a thin link, and live readings beside it."""

import time

import pytest

from tests.faults.rig import Record, Rig

pytestmark = pytest.mark.xdist_group("faults-c07")

_PROMISE_S = 2.0 + 0.1  # live p99: 2 s and the commit window


@pytest.mark.parametrize(
    ("rows", "bits", "latency"),
    [
        pytest.param(8_000, 256_000, 0.05, marks=pytest.mark.timeout(300)),
        pytest.param(500_000, 64_000, 0.2, marks=[pytest.mark.soak, pytest.mark.timeout(15_000)]),
    ],
)
async def test_backlog_over_a_thin_link(
    rows: int, bits: int, latency: float, rig: Rig, record: Record
) -> None:
    agent = await rig.backlog(rows)
    agent.rate, agent.most = 2, None
    rig.link.rate, rig.link.delay = bits / 8, latency
    await agent.start()
    await agent.connected()
    since = time.monotonic()
    enough = rows * 100 * 8 / bits * 10  # ten times what the bytes alone take
    await agent.until(lambda said: said["uplinks"][0]["backlog"] <= 50, enough)
    took = time.monotonic() - since
    live = sum(1 for at, _ in rig.witness.lags if at >= since)
    p99 = rig.witness.live_p99(since)
    rig.link.rate, rig.link.delay = None, 0.0
    counts = await rig.finish(agent)
    record(
        "C7", f"{rows} readings over {bits // 1000} kbit/s with {latency * 2000:.0f} ms", counts,
        drain_s=round(took), live_messages=live, live_p99_s=round(p99, 2),
    )  # fmt: skip
    counts.check()
    assert counts.unkept == 0
    assert live > took / 2, "live readings waited for the backlog"
    assert p99 < 10 * _PROMISE_S
    assert rig.witness.history_back == 0, "a lane of a device went back"
    assert rig.witness.lanes["history"] >= rows
