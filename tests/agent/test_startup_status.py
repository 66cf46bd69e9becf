"""What a snapshot says while the agent starts: all that is configured, from the first look on."""

import asyncio
from pathlib import Path

from edge_agent.agent.agent import Agent
from edge_agent.driver import Sample
from edge_agent.metrics.exposition import exposed
from edge_agent.settings.load import load
from edge_agent.status import Status

_HEAD = """\
config = 1
gateway = { site = "east-park", id = "gw-01" }
clock.trust = "always"
uplink.city = { servers = ["mqtt://127.0.0.1:1"] }
bus.a = { port = "/dev/none" }
"""


def _agent(folder: Path) -> Agent:
    file = folder / "agent.toml"
    devices = (
        f'device.d{address} = {{ driver = "modbus", bus = "a", place = "hall", name = "Feed {address}", '
        f'settings = {{ profile = "xy_md02", address = {address} }} }}\n'
        for address in (1, 2)
    )
    file.write_text(f'{_HEAD}outbox.path = "{folder / "outbox.db"}"\n{"".join(devices)}', "utf-8")
    return Agent(load(file))


async def _looked_at_until_it_runs(agent: Agent, keep: int) -> list[Status]:
    """Look whenever the loop comes round; keep so many readings at last."""
    looks = [agent.status()]
    task = asyncio.create_task(agent.run())
    try:
        async with asyncio.timeout(60):
            while not agent.started.is_set() and not task.done():
                await asyncio.sleep(0)
                looks.append(agent.status())
            assert agent.running is not None
            for _ in range(keep):
                agent.running.devices["d1"].heard([Sample("temperature", 20.5), Sample("humidity", 50.0)])
    finally:
        agent.stop()
        await task
    return looks


async def test_all_that_is_configured_is_there_from_the_first_look_on(tmp_path: Path) -> None:
    await _looked_at_until_it_runs(_agent(tmp_path), 3)
    looks = await _looked_at_until_it_runs(_agent(tmp_path), 0)
    assert not looks[0].epoch
    assert "edge_agent_device_readings_total" not in exposed(looks[0]).decode(), (
        "a counter does not begin anew"
    )
    assert "edge_agent_readings_kept_total" not in exposed(looks[0]).decode()
    for look in looks:
        assert [(one.id, one.name, one.place, one.bus) for one in look.devices] == [
            ("d1", "Feed 1", "hall", "a"),
            ("d2", "Feed 2", "hall", "a"),
        ]
        assert {(one.availability, one.reason) for one in look.devices} == {("late", "nothing was heard yet")}
        (city,) = look.uplinks
        assert (city.name, city.server, city.connected) == ("city", "mqtt://127.0.0.1:1", False)
        assert city.problem == "not connected yet"
        if look.epoch:
            assert (look.devices[0].seq, look.devices[1].seq, city.backlog) == (3, 0, 3)
            assert 'edge_agent_device_readings_total{device="d1"} 3.0' in exposed(look).decode()
    assert any(look.epoch for look in looks[:-1]), "it was looked at between the outbox and the devices"
