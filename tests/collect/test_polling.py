"""A device that is asked out of turn, or at another interval; on a paced wire."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.commands import AgentCommands
from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.collect import tasks
from edge_agent.collect.polling import Polling
from edge_agent.contract.commands import ReadArgs, SetIntervalArgs
from edge_agent.driver import NoAnswer
from edge_agent.settings.load import load
from edge_agent.uplink.downlink import CannotError
from tests.collect.test_tasks import CLIMATE, DEAD, FORMAT, Heard, climate, modbus, running, wired

CONFIG = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
[bus.line]
port = "/dev/null"
serial = "9600 8N1"
[device.climate-1]
driver = "modbus"
bus = "line"
settings = { profile = "xy_md02", address = 2 }
"""


@pytest.fixture
def own(tmp_path: Path) -> Any:
    def make(heard: Heard, polling: Polling) -> AgentCommands:
        file = tmp_path / "agent.toml"
        file.write_text(CONFIG, "utf-8")
        devices = {heard.device.id: heard.device, "talker": heard.device}
        return AgentCommands(lambda: load(file), lambda: None, devices, {heard.device.id: polling})  # type: ignore[arg-type, return-value]  # not asked

    return make


async def test_a_device_is_read_out_of_turn_and_its_schedule_stays(own: Any, tmp_path: Path) -> None:
    line, driver = SerialLine(str(tmp_path / "near"), FORMAT, gap=0.005), modbus(CLIMATE)
    heard, polling = Heard("climate-1", driver), Polling(3600)
    place = line.place()
    with ExitStack() as stack:
        wired(stack, tmp_path, climate())
        async with running(tasks.ask(heard.device, driver, Rtu(place, within=20), place, polling)):
            await heard.count(1)
            told = await own(heard, polling).read(ReadArgs(device="climate-1"))
            assert told["device"] == "climate-1"
            assert set(told["values"]) == {"temperature", "humidity"}
            assert told["quality"] == {}
            both = await asyncio.gather(polling.poll_now(), polling.poll_now())
            assert both[0] is both[1], "one answer is for all who wait"
            before = len(heard.readings)
            made = await own(heard, polling)._set_interval(SetIntervalArgs(device="climate-1", interval_s=1))
            assert made == {"device": "climate-1", "interval_s": 1.0, "before_s": 3600}
            assert heard.device.expect_s == 1
            await heard.count(2)
            assert len(heard.readings) >= before + 2
    await line.close()


async def test_who_waits_hears_of_a_failure(own: Any, tmp_path: Path) -> None:
    line, driver = SerialLine(str(tmp_path / "near"), FORMAT, gap=0.005, lateness=0.2), modbus(DEAD)
    heard, polling = Heard("climate-1", driver), Polling(3600)
    place = line.place()
    with ExitStack() as stack:
        wired(stack, tmp_path, climate())
        async with running(tasks.ask(heard.device, driver, Rtu(place, within=0.1), place, polling)):
            with pytest.raises(NoAnswer):
                await polling.poll_now()
            with pytest.raises(CannotError, match="NoAnswer: no answer"):
                await own(heard, polling).read(ReadArgs(device="climate-1"))
    with pytest.raises(CannotError, match="no device nobody"):
        await own(heard, polling).read(ReadArgs(device="nobody"))
    with pytest.raises(CannotError, match="not asked over a line"):
        await own(heard, polling).read(ReadArgs(device="talker"))
    await line.close()
