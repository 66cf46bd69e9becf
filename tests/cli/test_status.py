"""``edge-agent status`` of an agent in a process of its own."""

import asyncio
import json
from pathlib import Path

from rich.console import Console

from edge_agent.cli.status_page import page
from edge_agent.status import as_json, from_json
from tests.cli.running import AIR, config, port, running, until
from tests.cli.verb import started, verb

__all__ = ["port"]  # the fixture


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
    narrow = Console(width=60, height=10, color_system=None)
    for cut_below in (False, True):
        with narrow.capture() as drawn:
            narrow.print(page(from_json(told), cut_below=cut_below))
        lines = drawn.get().splitlines()
        assert max(map(len, lines)) <= 60
        # no value is broken over two lines, and on a screen that cuts off the end what is wrong comes first
        assert any("temperature 30.5 °C" in line for line in lines)
        assert (lines.index("all is well") < len(lines) - 1) is cut_below
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
        wrong = ""
        async with asyncio.timeout(60):
            while not ("dead: not heard yet" in wrong and "uplink city: " in wrong):
                wrong = str(json.loads((await until(place, 1, "--json")).out)["wrong"])
        async with started("status", "--watch", "--json", "--socket", str(place)) as watching:
            assert watching.stdout is not None
            async with asyncio.timeout(60):
                seen = [json.loads(await watching.stdout.readline()) for _ in range(2)]
                watching.terminate()
                assert await watching.wait() == 1
    assert seen[0]["uptime_s"] < seen[1]["uptime_s"]


async def test_without_an_agent_it_says_so(tmp_path: Path) -> None:
    said = await verb("status", "--json", "--socket", str(tmp_path / "none"))
    assert said.code == 2
    assert json.loads(said.out)["error"].startswith("no agent runs here")
