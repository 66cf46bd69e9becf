"""A meter on a paced wire passes a limit: an alarm, a kill, and its end, each told once; and an average."""

import shutil
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.journey.programs import edge_agent
from tests.uplink.rig import Listener, listening

pytestmark = pytest.mark.xdist_group("journey")

_BAUD = 9600
_CONFIG = """
config = 1
gateway = {{ site = "east-park", id = "gw-01" }}
outbox = {{ path = "{folder}/outbox.db", window = "50ms" }}
clock = {{ trust = "always" }}
[uplink.city]
servers = ["mqtt://127.0.0.1:{port}"]
spread = "0s"
[bus.cabinet]
port = "{folder}/near"
serial = "9600 8N1"
[device.feed]
driver = "modbus"
bus = "cabinet"
settings = {{ profile = "eastron_sdm120", address = 1 }}
interval = "300ms"
report = {{ silence = "1h" }}
channel.power.alarm.overload = {{ above = 2000, hysteresis = 100, delay = "1s" }}
[device.hall]
driver = "modbus"
bus = "cabinet"
settings = {{ profile = "xy_md02", address = 2 }}
interval = "300ms"
average = "2s"
"""


@pytest.fixture(autouse=True)
def _needs() -> None:
    if shutil.which("mosquitto_sub") is None:
        pytest.fail("mosquitto_sub is missing; run make test as root, or apt-get install mosquitto-clients")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker") as served:
        yield served


@pytest.fixture
async def park(tmp_path: Path) -> AsyncIterator[dict[str, float]]:
    """A meter and a climate sensor; what they measure is what is in the dictionary."""
    values = {"power": 500.0, "temperature": 21.0, "humidity": 50.0}
    with ExitStack() as stack:
        stack.enter_context(Wire(tmp_path / "near", tmp_path / "far", _BAUD))
        units = [
            unit(1, profile_text("modbus", "eastron_sdm120"), lambda: values),
            unit(2, profile_text("modbus", "xy_md02"), lambda: values),
        ]
        stack.enter_context(Slaves(tmp_path / "far", units))
        yield values


def _alarms(heard: Listener) -> list[dict[str, Any]]:
    """Alarms and their ends by number: what was not acknowledged before a kill comes again, as it was."""
    found = {said.payload["seq"]: said.payload for said in heard.of("event")}
    return [event for _, event in sorted(found.items()) if event["event"].startswith("alarm")]


async def test_an_alarm_and_its_end_are_told_once_across_a_kill(
    broker: Broker, park: dict[str, float], tmp_path: Path
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(_CONFIG.format(folder=tmp_path, port=broker.port), "utf-8")
    async with listening(broker.port) as heard:
        for _ in range(2):  # what it does before the kill it does not do again after it
            async with edge_agent("run", "--config", str(file)) as program:
                connected = len(heard.of("status"))
                await heard.until(lambda more=connected: len(heard.of("status")) > more)  # type: ignore[misc]
                park["power"] = 2500.0
                await heard.until(lambda: len(_alarms(heard)) > 0)
                averages = len(_averages(heard))
                await heard.until(lambda more=averages: len(_averages(heard)) > more + 1)  # type: ignore[misc]
                program.process.kill()
                await program.process.wait()
        park["power"] = 300.0
        async with edge_agent("run", "--config", str(file)):
            await heard.until(lambda: len(_alarms(heard)) > 1)
        alarm, cleared = _alarms(heard)
        channels = next(said for said in heard.of("meta") if said.payload["device"] == "hall").payload[
            "channels"
        ]
    assert (alarm["event"], cleared["event"]) == ("alarm", "alarm_cleared")
    assert (alarm["device"], alarm["channel"], alarm["alarm"], alarm["value"]) == (
        "feed",
        "power",
        "overload",
        2500,
    )
    assert alarm["detail"] == "power 2500 W is above 2000 W for 1 s"
    assert cleared["detail"] == "power 300 W is not above 2000 W any more"
    at_alarm = [item for item in _readings(heard, "feed") if item["ts"] == alarm["ts"]]
    assert [item["values"]["power"] for item in at_alarm] == [2500], "passed on, whatever report says"
    assert channels["temperature_min"] == channels["temperature"] | {"name": "Temperature, lowest"}
    assert channels["temperature"]["average_s"] == 2
    whole = [item for item in _averages(heard) if "quality" not in item]
    assert whole
    assert {item["values"]["temperature_max"] for item in whole} == {21.0}


def _readings(heard: Listener, device: str) -> list[dict[str, Any]]:
    return [item for (of, _), known in heard.readings().items() if of == device for item in known.values()]


def _averages(heard: Listener) -> list[dict[str, Any]]:
    return [item for item in _readings(heard, "hall") if "temperature" in item["values"]]
