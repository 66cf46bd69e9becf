"""C18: an outbox with millions of rows owed is ready as soon as a small one, for the same work."""

import time
from pathlib import Path

import pytest

from tests.faults.rig import Gateways, Record

pytestmark = pytest.mark.xdist_group("faults-c18")

_PROMISE_S = 10
_SAME_WORK = 2_000_000  # bytes read beyond what a small outbox costs; 200,000 rows are more than 8 MB


async def _start(rows: int, gateways: Gateways) -> tuple[float, int]:
    """Return the seconds until ready, and the bytes the process had read by then."""
    agent = gateways.gateway(_NOBODY, rate=0, most=rows // 2)
    await agent.start()
    await agent.until(lambda said: said["kept"] >= rows, 900)
    assert await agent.stop() == 0
    begin = time.monotonic()
    await agent.start()
    ready = time.monotonic() - begin
    assert agent.process is not None
    read = _bytes_read(agent.process.pid)
    said = await agent.until(lambda said: said["uplinks"][0]["backlog"] == rows, 60)
    assert said["rss_mb"] < 100
    assert await agent.stop() == 0
    return ready, read


def _bytes_read(process: int) -> int:
    return int(Path(f"/proc/{process}/io").read_text("ascii").split("rchar:")[1].split()[0])


_NOBODY = 9  # discard: nothing listens there


@pytest.mark.parametrize(
    "rows", [200_000, pytest.param(5_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
@pytest.mark.timeout(300)
async def test_start_does_not_depend_on_the_backlog(rows: int, gateways: Gateways, record: Record) -> None:
    few_s, few_bytes = await _start(10_000, gateways)
    many_s, many_bytes = await _start(rows, gateways)
    record(
        "C18", f"start with {rows} rows owed, beside 10000",
        ready_s=f"{many_s:.2f} and {few_s:.2f}", bytes_read=f"{many_bytes} and {few_bytes}",
    )  # fmt: skip
    assert many_s < 10 * _PROMISE_S
    assert many_bytes - few_bytes < _SAME_WORK
