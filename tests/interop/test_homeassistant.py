"""A real Home Assistant finds the devices of a real agent, and shows their values and that they are gone."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.demo import child
from tests.faults.broker import free_port
from tests.faults.broker import running as broker_running
from tests.interop.agent import agent

pytestmark = pytest.mark.interop

_SCRIPT = Path(__file__).with_name("hass.py")
_FACTS = Path(__file__).parents[1] / "uplink" / "homeassistant_facts.json"
_GATEWAY = "demo-park/demo-gw"


def _python() -> str:
    found = os.environ.get("EDGE_AGENT_HASS", "")
    if not Path(found).is_file():
        pytest.fail("EDGE_AGENT_HASS names no Python with homeassistant in it; `make interop` makes one")
    return found


class Hass:
    """Home Assistant; ``told`` is what it showed last."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.told: dict[str, Any] = {}
        self._process = process

    async def until(self, holds: Callable[[dict[str, Any]], object], within: float = 60) -> None:
        """Ask it until something holds of what it shows."""
        assert self._process.stdin is not None
        try:
            async with asyncio.timeout(within):
                while not (self.told and holds(self.told)):
                    await asyncio.sleep(0.5)
                    self._process.stdin.write(b"\n")
                    self.told = await self.line()
        except TimeoutError:
            pytest.fail(f"not within {within} s: {json.dumps(self.told, indent=1)}")

    async def line(self) -> dict[str, Any]:
        """Read one line of it."""
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return said

    def states(self) -> dict[str, str]:
        """Each entity's state, by its unique id."""
        return {name: entity["state"] for name, entity in self.told["entities"].items()}


def _prepare(folder: Path) -> None:
    folder.mkdir()
    (folder / "configuration.yaml").touch()


@asynccontextmanager
async def _hass(folder: Path, port: int) -> AsyncIterator[Hass]:
    _prepare(folder)
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *child.dying(_python(), str(_SCRIPT), str(folder), str(port), str(free_port())),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log.fileno(), limit=1 << 22,
        )  # fmt: skip
    try:
        made = Hass(process)
        async with asyncio.timeout(60):
            assert await made.line() == {"state": "ConfigEntryState.LOADED"}
        yield made
    finally:
        await child.stop(process)


async def test_devices_appear_with_their_values_and_are_gone_with_the_agent(tmp_path: Path) -> None:
    place = tmp_path / "gateway"
    place.mkdir()
    names = {"meter-1", "meter-2", "climate-1", "radar-1"}
    async with broker_running(tmp_path / "broker") as broker, _hass(tmp_path / "hass", broker.port) as hass:
        async with agent(place, broker.port, lines='dialects = ["homeassistant"]') as program:
            await hass.until(lambda told: len(told["devices"]) == len(names) + 1)
            known = {device["identifiers"][0]: device for device in hass.told["devices"]}
            assert set(known) == {_GATEWAY, *(f"{_GATEWAY}/{name}" for name in names)}
            assert all(known[f"{_GATEWAY}/{name}"]["via"] == [_GATEWAY] for name in names)
            assert known[f"{_GATEWAY}/meter-1"]["name"] == "Hall A feed"
            await hass.until(
                lambda told: all(
                    entity["state"] != "unavailable" and "unknown" not in entity["state"]
                    for name, entity in told["entities"].items()
                    if name.startswith(f"{_GATEWAY}/climate")
                    or name.endswith(("/energy_import", "/occupancy"))
                )
            )
            states = hass.states()
            assert states[f"{_GATEWAY}/status"] == "on"
            assert 10 < float(states[f"{_GATEWAY}/climate-1/temperature"]) < 40
            assert states[f"{_GATEWAY}/radar-1/occupancy"] in {"on", "off"}
            energy = hass.told["entities"][f"{_GATEWAY}/meter-1/energy_import"]["attributes"]
            assert (energy["device_class"], energy["state_class"], energy["unit_of_measurement"]) == (
                "energy", "total_increasing", "kWh",
            )  # fmt: skip
            program.process.kill()
            await program.process.wait()
        await hass.until(lambda _told: set(hass.states().values()) == {"unavailable", "off"})
    log = (tmp_path / "hass" / "log").read_text("utf-8")
    assert [line for line in log.splitlines() if re.search("rror|nvalid|discovery|topic", line)] == []


def test_the_facts_are_its_own() -> None:
    """What the suite's test holds the table against is what this Home Assistant says."""
    said = subprocess.run(
        [_python(), str(_SCRIPT), "facts"], check=True, capture_output=True, text=True, timeout=100
    )
    theirs, ours = json.loads(said.stdout), json.loads(_FACTS.read_text("utf-8"))
    for name, fact in ours["sensor"].items():
        assert set(fact["units"]) <= set(theirs["sensor"][name]["units"])
        assert fact["state_classes"] == theirs["sensor"][name]["state_classes"]
    assert set(ours["binary_sensor"]) <= set(theirs["binary_sensor"])
