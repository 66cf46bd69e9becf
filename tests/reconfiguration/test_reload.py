"""A reload is a difference: what is another begins anew, and all else runs on."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.agent import Agent
from edge_agent.bus.modbus import Rtu
from edge_agent.contract.commands import LogLevelArgs
from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from edge_agent.settings import last_good
from edge_agent.settings.source import Source
from tests.faults import broker as brokers
from tests.faults.disk import mounted
from tests.uplink.rig import Listener, listening

_AIR = {"temperature": 30.5, "humidity": 48.6}
_WITHIN_S = 60


def _head(folder: Path) -> str:
    return f"""\
config = 1
gateway = {{ site = "east-park", id = "gw-01" }}
outbox = {{ path = "{folder / "outbox.db"}", window = "50ms" }}
clock.trust = "always"
"""


def _bus(name: str, port: Path) -> str:
    return f'[bus.{name}]\nport = "{port}"\n'


def _device(name: str, bus: str, address: int, more: str = "") -> str:
    return f"""\
[device.{name}]
driver = "modbus"
bus = "{bus}"
interval = "100ms"
settings = {{ profile = "xy_md02", address = {address} }}
{more}
"""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """All devices here answer: on a busy machine, too, in which none of them is at fault."""
    monkeypatch.setattr(Rtu.__init__, "__kwdefaults__", {"within": 20.0, "speed": None})


@pytest.fixture
async def wires(tmp_path: Path) -> AsyncIterator[list[Wire]]:
    """Two lines, each with sensors at the addresses 1 to 3."""
    with ExitStack() as stack:
        made = []
        for name in ("a", "b"):
            wire = stack.enter_context(Wire(tmp_path / f"near-{name}", tmp_path / f"far-{name}", 9600))
            units = [unit(address, profile_text("modbus", "xy_md02"), lambda: _AIR) for address in (1, 2, 3)]
            stack.enter_context(Slaves(wire.far, units))
            made.append(wire)
        yield made


@asynccontextmanager
async def _running(folder: Path, text: str) -> AsyncIterator[Agent]:
    file = folder / "agent.toml"
    file.write_text(text, "utf-8")
    source = Source(file)
    agent = Agent(source.begin().config, source=source)
    task = asyncio.create_task(agent.run())
    try:
        async with asyncio.timeout(_WITHIN_S):
            started = asyncio.create_task(agent.started.wait())
            await asyncio.wait((started, task), return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
        yield agent
    finally:
        agent.stop()
        async with asyncio.timeout(_WITHIN_S):
            await task


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not holds():  # noqa: ASYNC110 - the agent tells nobody
            await asyncio.sleep(0.02)


def _seq(agent: Agent) -> dict[str, int]:
    return {device.id: device.seq for device in agent.status().devices}


async def _all_read_on(agent: Agent) -> None:
    before = _seq(agent)
    await _until(lambda: all(seq > before[id_] for id_, seq in _seq(agent).items()))


async def _reloaded(agent: Agent, folder: Path, text: str) -> set[str]:
    (folder / "agent.toml").write_text(text, "utf-8")
    reloaded = await agent.reload()
    assert not reloaded.problems
    return set(reloaded.changes)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_the_log_has_the_level_of_the_file_again_after_a_command(tmp_path: Path) -> None:
    own, root = logging.getLogger("edge_agent"), logging.getLogger()
    before = own.level, root.level
    try:
        async with _running(tmp_path, _head(tmp_path)) as agent:
            assert agent.running is not None
            await agent.running.own_commands.by_name()["log-level"](LogLevelArgs(level="error"))
            assert own.getEffectiveLevel() == logging.ERROR
            changed = await _reloaded(agent, tmp_path, _head(tmp_path) + 'log.level = "debug"\n')
            assert changed == {"log.level changed"}
            assert own.getEffectiveLevel() == logging.DEBUG
    finally:
        own.setLevel(before[0])
        root.setLevel(before[1])


async def test_neighbours_on_a_bus_do_not_notice(tmp_path: Path, wires: list[Wire]) -> None:
    first = _head(tmp_path) + _bus("a", wires[0].near) + _device("one", "a", 1)
    async with _running(tmp_path, first + _device("two", "a", 2)) as agent:
        await _all_read_on(agent)
        running = agent.running
        assert running is not None
        neighbour, line, outbox = running.devices["one"], running.buses._lines["a"], agent._outbox
        assert await _reloaded(agent, tmp_path, first + _device("two", "a", 3, 'name = "x"')) == {
            "two changed"
        }
        assert await _reloaded(agent, tmp_path, first + _device("three", "a", 2)) == {
            "three added",
            "two removed",
        }
        assert list(_seq(agent)) == ["one", "three"]
        await _all_read_on(agent)
        assert running.devices["one"] is neighbour
        assert running.buses._lines["a"] is line
        assert agent._outbox is outbox
        assert line.reopened == 0
        assert not neighbour.faults


async def test_a_port_is_let_go_before_another_opens_it(tmp_path: Path, wires: list[Wire]) -> None:
    """Two buses change their ports: each is locked, and neither fails to open."""
    devices = _device("one", "a", 1) + _device("two", "b", 2)
    one, other = wires[0].near, wires[1].near
    before, after = (
        _head(tmp_path) + _bus("a", first) + _bus("b", second) + devices
        for first, second in ((one, other), (other, one))
    )
    async with _running(tmp_path, before) as agent:
        await _all_read_on(agent)
        open_before = _descriptors()
        for text in (after, before, after):
            assert await _reloaded(agent, tmp_path, text) == {"bus a changed", "bus b changed"}
            await _all_read_on(agent)
        assert [bus.problem for bus in agent.status().buses] == ["", ""]
        assert [bus.reopened for bus in agent.status().buses] == [0, 0]
        assert _descriptors() <= open_before


async def test_what_cannot_be_changes_nothing_and_is_said(tmp_path: Path, wires: list[Wire]) -> None:
    right = _head(tmp_path) + _bus("a", wires[0].near) + _device("one", "a", 1)
    async with _running(tmp_path, right) as agent:
        running = agent.running
        assert running is not None
        device = running.devices["one"]
        for wrong, said in (
            (right.replace("xy_md02", "xy_md03"), "xy_md03"),
            (right.replace("gw-01", "gw-02") + _device("two", "a", 2), "gateway.id: cannot change"),
            (right.replace("outbox.db", "other.db") + _device("two", "a", 2), "outbox.path: cannot change"),
            (right + '[console]\nlisten = "127.0.0.1:8123"\n', "console: cannot change"),
            ("colour", "agent.toml:1: is not TOML"),
        ):
            (tmp_path / "agent.toml").write_text(wrong, "utf-8")
            reloaded = await agent.reload()
            assert not reloaded.changes
            assert said in str(reloaded.problems[0])
            assert said in agent.status().problem
            assert running.devices == {"one": device}
        async with agent.lent(str(wires[0].near), "a scan"):
            (tmp_path / "agent.toml").write_text(right.replace("[bus.a]", '[bus.a]\ngap = "50ms"'), "utf-8")
            assert "is lent to a scan" in str((await agent.reload()).problems[0])
            assert await _reloaded(agent, tmp_path, right + _device("two", "a", 2)) == {"two added"}
            assert "lent" in agent.status().devices[1].problem
        assert agent.status().problem == ""
        await _all_read_on(agent)


async def test_a_disk_that_takes_nothing_lets_nothing_change(tmp_path: Path, wires: list[Wire]) -> None:
    with mounted(tmp_path, size_mb=8) as disk:
        uplink = '[uplink.city]\nservers = ["mqtt://127.0.0.1:9"]\n'
        right = _head(disk.path) + _bus("a", wires[0].near) + _device("one", "a", 1)
        async with _running(tmp_path, right + uplink) as agent:
            await _all_read_on(agent)
            disk.fill()
            await _until(lambda: agent.status().waiting > 5)
            await _until(lambda: agent.status().problem)
            before = agent.status()
            other = right.replace('interval = "100ms"', 'interval = "200ms"') + _device("two", "a", 2)
            (tmp_path / "agent.toml").write_text(other, "utf-8")
            reloaded = await agent.reload()
            assert "the outbox: the disk takes nothing now" in str(reloaded.problems[0])
            now = agent.status()
            assert [up.name for up in now.uplinks] == ["city"]
            assert [device.id for device in now.devices] == ["one"]
            await _until(lambda: agent.status().waiting > before.waiting + 5)  # it is read on
            disk.free()
            await _until(lambda: not agent.status().waiting or agent.status().kept > before.kept)
            assert await _reloaded(agent, tmp_path, other) == {
                "one changed",
                "two added",
                "uplink city removed",
            }
            await _all_read_on(agent)


async def test_what_is_another_without_a_restart_of_anything(tmp_path: Path, wires: list[Wire]) -> None:
    right = _head(tmp_path) + _bus("a", wires[0].near) + _device("one", "a", 1)
    async with _running(tmp_path, right) as agent:
        running = agent.running
        assert running is not None
        device = running.devices["one"]
        other = right.replace('window = "50ms"', 'window = "60ms", memory = "5 readings", max_size = "2MB"')
        changes = await _reloaded(agent, tmp_path, other.replace('"always"', '"kernel"'))
        assert changes == {
            "outbox.window changed",
            "outbox.memory changed",
            "outbox.max_size changed",
            "clock.trust changed",
        }
        assert agent._outbox is not None
        assert agent._outbox._handover.most == 5
        assert running.devices["one"] is device
        await _all_read_on(agent)


async def test_the_last_that_ran_is_kept(tmp_path: Path, wires: list[Wire]) -> None:
    right = _head(tmp_path) + _bus("a", wires[0].near) + _device("one", "a", 1)
    kept = last_good.beside(tmp_path / "outbox.db")

    def devices() -> list[str]:
        return list(json.loads(kept.read_text("utf-8"))["config"]["device"])

    async with _running(tmp_path, right) as agent:
        await _until(kept.exists)
        assert devices() == ["one"]
        await _reloaded(agent, tmp_path, right + _device("two", "a", 2))
        assert devices() == ["one", "two"]
        (tmp_path / "agent.toml").write_text(right + "colour", "utf-8")
        assert (await agent.reload()).problems
        assert devices() == ["one", "two"]
    source = Source(tmp_path / "agent.toml")
    agent = Agent(source.begin().config, source=source)
    assert "the last good configuration goes on; " in agent.status().problem


async def test_what_is_retained_follows_without_a_new_connection(tmp_path: Path, wires: list[Wire]) -> None:
    base = "park/v1/east-park/gw-01"

    def last(heard: Listener, topic: str) -> Any:
        return next((one.payload for one in reversed(heard.heard) if one.topic == f"{base}/{topic}"), None)

    async with brokers.running(tmp_path / "broker") as served, listening(served.port) as heard:
        uplink = f'[uplink.city]\nservers = ["mqtt://127.0.0.1:{served.port}"]\nspread = "0s"\n'
        right = _head(tmp_path) + uplink + _bus("a", wires[0].near) + _device("one", "a", 1)
        async with _running(tmp_path, right + _device("two", "a", 2)) as agent:
            await _until(lambda: last(heard, "state/two"))
            session = last(heard, "status")["session"]
            await _reloaded(agent, tmp_path, right + _device("three", "a", 2, 'name = "Third"'))
            await _until(lambda: last(heard, "meta/three") and last(heard, "data/three"))
            await _until(lambda: last(heard, "meta/two") == last(heard, "state/two") == {})
            assert last(heard, "meta/three")["name"] == "Third"
            meta = last(heard, "meta/three")["hash"]
            assert last(heard, "data/three")["meta"] == meta
            assert agent.running is not None
            device = agent.running.devices["three"]
            assert await _reloaded(agent, tmp_path, right + _device("three", "a", 2, 'name = "3rd"')) == {
                "three changed"
            }
            assert agent.running.devices["three"] is device, "it goes on, and is not late"
            await _until(lambda: last(heard, "data/three")["meta"] != meta)
            assert last(heard, "meta/three")["name"] == "3rd"
            assert last(heard, "status")["session"] == session
            assert last(heard, "status")["state"] == "online"
