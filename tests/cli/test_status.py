"""``edge-agent status`` of an agent in a process of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from edge_agent.status import as_json, from_json
from tests.cli.verb import Said, started, verb

AIR = {"temperature": 30.5, "humidity": 48.6}


def config(folder: Path, port: Path, more: str = "") -> Path:
    file = folder / "agent.toml"
    file.write_text(
        f"""\
config = 1
gateway = {{ site = "east-park", id = "gw-01", name = "Pump house" }}
outbox.path = "{folder / "outbox.db"}"
clock.trust = "always"
[bus.cabinet]
port = "{port}"
[device.air]
driver = "modbus"
bus = "cabinet"
place = "hall-b"
interval = "200ms"
settings = {{ profile = "xy_md02", address = 7 }}
{more}
""",
        "utf-8",
    )
    return file


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Path]:
    with (
        Wire(tmp_path / "near", tmp_path / "far", 9600) as wire,
        Slaves(wire.far, [unit(7, profile_text("modbus", "xy_md02"), lambda: AIR)]),
    ):
        yield wire.near


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[Path]:
    """Run an agent; yield its socket once it answers."""
    place = file.with_name("control.sock")
    async with started("run", "--config", str(file), "--socket", str(place)) as agent:
        async with asyncio.timeout(60):
            while not place.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.05)
        yield place
        agent.terminate()
        async with asyncio.timeout(30):
            _, err = await agent.communicate()
        assert agent.returncode == 0, err.decode()
    assert not place.exists()


async def until(place: Path, code: int, *words: str) -> Said:
    """Ask until it ends with a code."""
    async with asyncio.timeout(60):
        while True:
            said = await verb("status", "--socket", str(place), *words)
            if said.code == code:
                return said


async def test_all_is_well(port: Path, tmp_path: Path) -> None:
    async with running(config(tmp_path, port)) as place:
        said = await until(place, 0)
        for part in ("east-park / gw-01 (Pump house)", "hall-b", "temperature 30.5 °C", "all is well"):
            assert part in said.out
        told = json.loads((await until(place, 0, "--json")).out)
    assert (told["site"], told["clock"], told["wrong"]) == ("east-park", "synchronised", [])
    (air,) = told["devices"]
    assert (air["availability"], air["place"], air["bus"]) == ("online", "hall-b", "cabinet")
    assert air["values"] == AIR
    assert air["heard_s"] < 10
    again = as_json(from_json(told | {"of_a_newer_agent": 1}))
    assert json.loads(json.dumps(again)) == told


MORE = """\
[device.dead]
driver = "modbus"
bus = "cabinet"
settings = { profile = "xy_md02", address = 9 }
[uplink.city]
servers = ["mqtt://127.0.0.1:9"]
"""


async def test_what_is_wrong_is_told_and_ends_with_1(port: Path, tmp_path: Path) -> None:
    async with running(config(tmp_path, port, MORE)) as place:
        told = json.loads((await until(place, 1, "--json")).out)
        assert any(line.startswith("dead: not heard yet") for line in told["wrong"])
        assert any(line.startswith("uplink city: ") for line in told["wrong"])
        async with started("status", "--watch", "--json", "--socket", str(place)) as watching:
            assert watching.stdout is not None
            async with asyncio.timeout(30):
                seen = [json.loads(await watching.stdout.readline()) for _ in range(2)]
                watching.terminate()
                assert await watching.wait() == 1
    assert seen[0]["uptime_s"] < seen[1]["uptime_s"]


async def test_without_an_agent_it_says_so(tmp_path: Path) -> None:
    said = await verb("status", "--json", "--socket", str(tmp_path / "none"))
    assert said.code == 2
    assert json.loads(said.out)["error"].startswith("no agent runs here")
