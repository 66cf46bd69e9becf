"""An agent in a process of its own on a wire, for the verbs that ask it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge_agent.control.client import NoAgentError, ask
from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from tests.cli.verb import Said, started, verb

PATIENT = "from edge_agent.bus.modbus import Rtu; Rtu.__init__.__kwdefaults__['within'] = 20.0"
"""An agent that waits for the answers of a busy machine: no device of it is at fault."""
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


@asynccontextmanager
async def sensor(folder: Path) -> AsyncIterator[Path]:
    """A humidity sensor with address 7; yields the port that it is at."""
    with (
        Wire(folder / "near", folder / "far", 9600) as wire,
        Slaves(wire.far, [unit(7, profile_text("modbus", "xy_md02"), lambda: AIR)]),
    ):
        yield wire.near


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Path]:
    """The port of such a sensor, for a whole test."""
    async with sensor(tmp_path) as port:
        yield port


@asynccontextmanager
async def running(file: Path, before: str = "") -> AsyncIterator[Path]:
    """Run an agent; yield its socket once it has begun. ``before``: what is done in its process first."""
    place = file.with_name("control.sock")
    async with started("run", "--config", str(file), "--socket", str(place), before=before) as agent:
        await begun(place)
        yield place
        agent.terminate()
        async with asyncio.timeout(60):
            _, err = await agent.communicate()
        assert agent.returncode == 0, err.decode()
    assert not place.exists()


async def begun(place: Path) -> None:
    """Wait until its buses are there: from then on it asks, lends, and takes changes."""
    async with asyncio.timeout(60):
        while True:
            with suppress(NoAgentError):
                if (await ask("status", at=place))["buses"]:
                    return
            await asyncio.sleep(0.05)


async def until(place: Path, code: int, *words: str) -> Said:
    """Ask until it ends with a code."""
    async with asyncio.timeout(60):
        while True:
            said = await verb("status", "--socket", str(place), *words)
            if said.code == code:
                return said
