"""``edge-agent healthy``: which agent an upgrade keeps, asked of a real one with a real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.doctor.upgrade import unwell
from edge_agent.profile import profile_text
from edge_agent.status import DeviceStatus, Status, UplinkStatus
from tests.cli.running import begun
from tests.cli.verb import Said, started, verb
from tests.faults.broker import free_port, running

FILE = """\
config = 1
gateway = {{ site = "east-park", id = "gw-01" }}
outbox = {{ path = "{folder}/outbox.db", window = "100ms" }}
clock.trust = "always"
[uplink.city]
servers = ["mqtt://127.0.0.1:{port}"]
spread = "0s"
[bus.line]
port = "{folder}/near"
[device.air]
driver = "modbus"
bus = "line"
settings = {{ profile = "xy_md02", address = 2 }}
interval = "200ms"
"""


@asynccontextmanager
async def agent(folder: Path, port: int, *, answers: bool = True) -> AsyncIterator[Path]:
    """Run an agent on a line where its device answers, or nobody; yield its socket."""
    file, place = folder / "agent.toml", folder / "control.sock"
    file.write_text(FILE.format(folder=folder, port=port), "utf-8")
    at = 2 if answers else 9
    air = unit(at, profile_text("modbus", "xy_md02"), lambda: {"temperature": 21.5, "humidity": 40.0})
    with Wire(folder / "near", folder / "far", 9600), Slaves(folder / "far", [air]):
        async with started("run", "-c", str(file), "--socket", str(place)):
            await begun(place)
            yield place


async def healthy(place: Path, within: str, *words: str) -> Said:
    return await verb("healthy", "--socket", str(place), "--within", within, "--steady", "1s", *words)


async def before(place: Path, file: Path) -> Path:
    """Wait until all is well, and keep what is told then."""
    async with asyncio.timeout(60):
        said = await verb("status", "--json", "--socket", str(place))
        while said.code != 0:
            said = await verb("status", "--json", "--socket", str(place))
    await asyncio.to_thread(file.write_text, said.out, "utf-8")
    return file


async def test_one_that_reads_and_sends_is(tmp_path: Path) -> None:
    async with running(tmp_path / "broker") as broker, agent(tmp_path, broker.port) as place:
        file = await before(place, tmp_path / "before.json")
        said = await healthy(place, "60s", "--before", str(file))
        assert (said.code, said.out) == (0, "healthy\n")


async def test_a_broker_that_is_down_is_not_its_fault(tmp_path: Path) -> None:
    async with agent(tmp_path, free_port()) as place:
        assert (await healthy(place, "60s")).code == 0


async def test_one_that_hears_less_than_the_one_before_is_not(tmp_path: Path) -> None:
    async with running(tmp_path / "broker") as broker:
        async with agent(tmp_path, broker.port) as place:
            file = await before(place, tmp_path / "before.json")
        async with agent(tmp_path, broker.port, answers=False) as place:
            said = await healthy(place, "3s", "--before", str(file))
        assert said.code == 1
        assert "0 of 1 devices are online, 1 were before, and no reading was kept" in said.err


async def test_no_agent_is_none(tmp_path: Path) -> None:
    said = await healthy(tmp_path / "control.sock", "1s")
    assert (said.code, "no agent runs here" in said.err) == (1, True)


async def test_a_file_that_tells_nothing_is_as_none_and_another_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    for text, code in (("", 1), ('{"error": "no agent runs"}', 1), ('{"site": 1}', 2), ("no json", 2)):
        file.write_text(text, "utf-8")
        assert (await healthy(tmp_path / "control.sock", "1s", "--before", str(file))).code == code, text


UPLINK = UplinkStatus("city", True, "mqtt://127.0.0.1:1", "5", 100, 7, 0, "")
DEVICE = DeviceStatus("air", "air", "modbus", "online", 1.0, 9, {}, {}, {}, {}, "")
NOW = Status(
    *("east-park", "gw-01", "e1", 20.0, 50, 0, 0, "synchronised", 900, 40, ""),
    devices=(DEVICE,),
    uplinks=(),
)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"epoch": ""}, "outbox is not open"),
        ({"devices": ()}, "0 of 0 devices are online, 1 were before"),
        ({"devices": (), "kept": 51}, ""),
        ({"uplinks": (UPLINK,)}, "nothing was acknowledged, and 7 readings are owed"),
        ({"uplinks": (replace(UPLINK, acknowledged=101),)}, ""),
        ({"uplinks": (replace(UPLINK, backlog=0),)}, ""),
        ({"uplinks": (replace(UPLINK, connected=False),)}, ""),  # nobody listens at its port
    ],
)
def test_what_is_asked_of_it(changed: dict[str, object], why: str) -> None:
    first = replace(NOW, uplinks=(UPLINK,))
    said = unwell(NOW, first, replace(NOW, **changed))  # type: ignore[arg-type]  # any of its fields
    assert why in said if why else said == ""


async def test_a_broker_that_is_up_and_not_connected_to_is_its_fault(tmp_path: Path) -> None:
    async with running(tmp_path) as broker:
        away = replace(UPLINK, connected=False, server=f"mqtt://127.0.0.1:{broker.port}", problem="no login")
        said = await asyncio.to_thread(unwell, None, NOW, replace(NOW, uplinks=(away,)))
        assert said == f"uplink city: no login, although {away.server} can be reached"
