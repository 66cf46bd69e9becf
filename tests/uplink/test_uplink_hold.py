"""``hold_without_subscriber``: what a broker has nobody to give to stays here; nothing is lost or spun."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from edge_agent.backoff import Backoff
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.uplink.rig import listening, running, settings


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker", extra=["log_type all"]) as served:
        yield served


def _sent(broker: Broker) -> list[int]:
    """The sizes of all messages of readings that the broker got."""
    log = broker.log.read_text("utf-8", "replace")
    return [int(size) for size in re.findall(r"Received PUBLISH from gw-01 .*?/data/.*?(\d+) bytes", log)]


@pytest.mark.parametrize("backlog", [0, 3_000])
async def test_what_nobody_hears_waits_for_who_comes(broker: Broker, tmp_path: Path, backlog: int) -> None:
    async with running(tmp_path, settings(broker.port), start=False) as rig:
        rig.keep(backlog)
        await rig.until(lambda: not rig.outbox.waiting)
    async with running(tmp_path, settings(broker.port, hold_without_subscriber=True)) as rig:
        await rig.connected()
        sending = rig.uplink._sending
        assert sending is not None
        sending._breakers.readings._backoff = Backoff(0.1, 1)
        rig.keep(200)
        await rig.until(lambda: "nobody subscribes" in rig.uplink.status().problem)
        async with listening(broker.port) as heard:
            await rig.drained()
            total = backlog + 200
            await heard.until(lambda: [*map(len, heard.readings().values())] == [total])
        assert rig.uplink.status().problem == ""
    assert sorted(seq for _, seq in rig.numbers()) == list(range(1, total + 1)), "each was taken once"


async def test_probes_are_few_and_small_and_memory_has_an_end(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.uplink.sending._MOST_LIVE", 1_000)
    async with running(tmp_path, settings(broker.port, hold_without_subscriber=True)) as rig:
        await rig.connected()
        rig.keep(1)
        await rig.until(lambda: "nobody subscribes" in rig.uplink.status().problem)
        before, began = len(_sent(broker)), monotonic()
        for _ in range(30):
            rig.keep(100)
            await asyncio.sleep(0.1)
        probes = _sent(broker)[before:]
        assert len(probes) <= 1 + (monotonic() - began)
        assert all(size < 2_000 for size in probes)
        sending = rig.uplink._sending
        assert sending is not None
        assert sending._lanes.live.waiting <= 1_000
        async with listening(broker.port) as heard:
            await rig.drained()
            await heard.until(lambda: [*map(len, heard.readings().values())] == [3_001])


async def test_it_is_off_unless_asked_for(broker: Broker, tmp_path: Path) -> None:
    async with running(tmp_path, settings(broker.port)) as rig:
        rig.keep(100)
        await rig.drained()
