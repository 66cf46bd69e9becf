"""C15: the configuration changes over a backlog; nothing of it is lost, and nothing is sent again."""

import asyncio
import hashlib
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_agent.service import EX_CONFIG
from tests.faults import broker as brokers
from tests.faults.gateway import Gateway, Said, config
from tests.faults.rig import WINDOW_MS, Record, Rig
from tests.faults.store import Key, stored
from tests.faults.witness import judge, watching

pytestmark = pytest.mark.xdist_group("faults-c15")

_BACKLOG = 100_000
_MORE = 40  # readings in each life, at least
_KILLS = 6
_SLOWEST_RELOAD_S = 0.4  # about
_SLOWEST_START_S = 0.9  # from the process to the first status, about

Push = Callable[[Gateway, dict[str, Any]], Awaitable[None]]


async def by_restart(agent: Gateway, lines: dict[str, Any]) -> None:
    """Give a gateway a new configuration: stop, write, start."""
    if agent.process is not None:
        assert await agent.stop() == 0, agent.tail()
    _write(agent, lines)
    await agent.start()


async def by_reload(agent: Gateway, lines: dict[str, Any]) -> None:
    """Give a gateway a new configuration: write, SIGHUP. One that does not run is started with it."""
    if agent.process is None:
        await by_restart(agent, lines)
        return
    _write(agent, lines)
    process = agent.process
    assert "not reloaded" not in await agent.reload()
    assert agent.process is process
    assert process.returncode is None


PUSHES = [pytest.param(by_restart, id="restart"), pytest.param(by_reload, id="reload")]


def _write(agent: Gateway, lines: dict[str, Any]) -> None:
    agent.configs = [config(agent.folder, outbox=agent.outbox, **lines)]


def _backlogs(said: Said) -> dict[str, int]:
    return {uplink["name"]: uplink["backlog"] for uplink in said["uplinks"]}


def _park(port: int, more: str = "") -> str:
    return f'[uplink.park]\nservers = ["mqtt://127.0.0.1:{port}"]\nspread = "0s"\n{more}\n'


async def _more(agent: Gateway) -> None:
    """Let it read on for a while, and keep it."""
    before = agent.said["kept"]
    await agent.until(lambda said: said["kept"] >= before + _MORE, 60)


@dataclass
class Pushes:
    """A gateway with a backlog for two uplinks, and the pushes it gets. Only ``city`` is always there."""

    rig: Rig
    agent: Gateway
    park_port: int
    push: Push

    def lines(self, *, park: str | None = "", more: str = "", **lines: Any) -> dict[str, Any]:
        """A configuration: with what ``park`` says besides its address, or without that uplink."""
        uplink = "" if park is None else _park(self.park_port, park)
        return {"port": self.rig.link.port, "uplink": uplink + more, **lines}

    async def __call__(self, **lines: Any) -> tuple[dict[Key, int], dict[Key, int]]:
        """Push, look, read on; return where the numbers stood before, and right after."""
        if self.push is by_restart and self.agent.process is not None:
            assert await self.agent.stop() == 0, self.agent.tail()
        before = stored(self.agent.outbox).tops
        await self.push(self.agent, self.lines(**lines))
        after = before if self.push is by_restart else stored(self.agent.outbox).tops
        for name, backlog in _backlogs(self.agent.said).items():
            least = 0 if name == "new" else _BACKLOG
            assert backlog >= least, f"{name} is owed {backlog} after {lines}"
        await _more(self.agent)
        return before, after

    async def every_kind(self) -> tuple[set[tuple[Key, int]], set[tuple[Key, int]]]:
        """Return the readings that were made of a device while ``park`` did not select it.

        First those that surely were, then also those that were made while that was about to change.
        """
        await self()
        await self(device='name = "Hall B"')
        await self(devices=("d1-new", "d2"))
        await self(devices=("d1-new",))
        await self(devices=("d1-new", "d2"))
        low = await self(devices=("d1-new", "d2"), park='send.devices = ["d1-*"]')
        high = await self(devices=("d1-new", "d2"))
        if self.push is by_reload:
            await _refused_while_it_runs(self.agent)
        else:
            assert await self.agent.stop() == 0, self.agent.tail()
            _refused(self.agent)
        await self(devices=("d1-new", "d2", "d5"), park=None)  # one is first seen while park is gone
        await self(more='[uplink.new]\nservers = ["mqtt://127.0.0.1:9"]\n')
        await self()
        assert await self.agent.stop() == 0, self.agent.tail()
        return _between(low[1], high[0]), _between(low[0], high[1])

    async def kills(self, rng: random.Random) -> None:
        """Push and kill while it is applied, at any instant."""
        for number in range(_KILLS):
            if self.push is by_reload:
                await self.agent.start()
            _write(self.agent, self.lines(device=f'name = "Hall {number}"', park="" if number % 2 else None))
            if self.push is by_reload:
                self.agent.signal(signal.SIGHUP)
                await asyncio.sleep(rng.uniform(0, _SLOWEST_RELOAD_S))
            else:
                await self.agent.launch()
                await asyncio.sleep(rng.uniform(0.1, _SLOWEST_START_S))
            await self.agent.kill()


def _between(low: dict[Key, int], high: dict[Key, int]) -> set[tuple[Key, int]]:
    return {(key, seq) for key in high if key[0] == "d2" for seq in range(low[key] + 1, high[key] + 1)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("push", PUSHES)
async def test_pushes_of_every_kind(push: Push, rig: Rig, record: Record) -> None:
    async with brokers.running(rig.folder / "park") as served:
        with watching(served.port) as beside:
            await served.stop()
            agent = await rig.backlog(_BACKLOG, uplink=_park(served.port))
            await rig.link.refuse()
            agent.rate, agent.most = 200, None
            pushes = Pushes(rig, agent, served.port, push)
            surely, at_most = await pushes.every_kind()
            await pushes.kills(random.Random(15))
            await rig.link.listen()
            await served.start()
            await push(agent, pushes.lines())
            await agent.connected()
            await agent.drained(100)
            assert await agent.stop() == 0, agent.tail()
            kept = stored(agent.outbox)
            total = sum(kept.tops.values())
            await asyncio.to_thread(beside.wait, lambda heard: heard.distinct >= total - len(at_most), 60)
        at_city = await rig.judged(agent)
        at_park = judge(beside, kept, agent.truth, agent.kills, WINDOW_MS * 10)
    pushed = f"pushes {push.__name__} over a backlog of {_BACKLOG}, {_KILLS} of them killed"
    record("C15", f"{pushed}: an uplink that stays", at_city)
    record("C15", f"{pushed}: one that comes and goes", at_park, not_selected=len(surely))
    at_city.check()
    assert at_city.delivered == total
    assert at_city.duplicates == at_city.declared == 0
    missing = {
        (key, seq)
        for key, top in kept.tops.items()
        for seq in range(1, top + 1)
        if seq not in beside.readings.get(key, ())
    }
    assert surely
    assert surely <= missing <= at_most
    assert at_park.duplicates == at_park.declared == at_park.twice == at_park.invented == 0
    assert not beside.conflicts


def _refused(agent: Gateway) -> None:
    """A configuration that is invalid is refused by the real command, which does not touch the outbox."""
    before = hashlib.sha256(agent.outbox.read_bytes()).hexdigest()
    bad = agent.folder / "bad.toml"
    bad.write_text(agent.configs[0].read_text("utf-8").replace("xy_md02", "xy_md03"), "utf-8")
    done = subprocess.run(
        [Path(sys.executable).with_name("edge-agent"), "run", "--config", bad],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == EX_CONFIG, done.stderr
    assert "xy_md03" in done.stderr
    assert hashlib.sha256(agent.outbox.read_bytes()).hexdigest() == before


async def _refused_while_it_runs(agent: Gateway) -> None:
    """An invalid configuration changes nothing, and the status tells; a storm of reloads ends soon."""
    right = agent.configs[0].read_text("utf-8")
    agent.configs[0].write_text(right.replace("xy_md02", "xy_md03"), "utf-8")
    agent.signal(signal.SIGHUP)
    await agent.until(lambda said: "xy_md03" in said["problem"], 60)
    assert [line for line in agent.lines("ERROR") if "not reloaded" in line and "xy_md03" in line]
    assert len(agent.said["devices"]) == 2
    agent.configs[0].write_text(right, "utf-8")
    before = len(agent.reloads())
    for _ in range(50):
        agent.signal(signal.SIGHUP)
    await agent.until(lambda said: not said["problem"] and len(agent.reloads()) > before, 60)
    await _more(agent)
    assert len(agent.reloads()) <= before + 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("push", PUSHES)
async def test_smaller_cap(push: Push, rig: Rig, record: Record) -> None:
    agent = await rig.backlog(_BACKLOG)
    await rig.link.refuse()
    size = agent.outbox.stat().st_size
    agent.rate, agent.most = 200, None
    await push(agent, {"port": rig.link.port, "stored": 'max_size = "2MB"'})
    await _more(agent)
    await push(agent, {"port": rig.link.port, "stored": 'max_size = "2MB"'})
    await rig.link.listen()
    counts = await rig.finish(agent)
    reasons = sorted({loss["reason"] for loss in rig.witness.losses.values()})
    record("C15", "a backlog of 100000, and then a cap of 2 MB", counts, was_bytes=size)
    counts.check()
    assert reasons == ["capacity"]
    assert counts.delivered + counts.declared == counts.kept
    assert counts.duplicates == 0
    assert counts.delivered > 20_000
