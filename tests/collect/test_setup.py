"""A radar that is told how to report when its port opens: a simulated module on a paced wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_agent.bus.serial import SerialFormat
from edge_agent.bus.talker import SerialStream
from edge_agent.clock import SystemClock
from edge_agent.collect import tasks
from edge_agent.collect.device import Device
from edge_agent.demo import radar
from edge_agent.demo.tty_end import TtyEnd
from edge_agent.demo.wire import Wire
from edge_agent.processing.plan import Plan
from edge_agent.reading import Reading
from edge_agent.registry import load

SOON = 60  # seconds: a limit, not a measure
ENABLE, END, ENGINEERING, BAUD, RESTART = 0xFF, 0xFE, 0x62, 0xA1, 0xA3


class Listening:
    """A device that is listened to, and what came of it."""

    def __init__(self, tmp_path: Path, driver: str = "ld2410", **settings: Any) -> None:
        record = load(driver)
        chosen = record.settings.model_validate(settings)
        opened: Any = record.open(chosen)
        assert record.cut is not None
        assert record.setup is not None
        self.readings: list[Reading] = []
        self.device = Device(
            "radar-1", opened.channels, Plan({}, {}, None), SystemClock("always"), self.readings.append
        )
        self.stream = SerialStream(
            str(tmp_path / "near"), SerialFormat.parse(record.serial(chosen)), record.cut
        )
        self.loop = tasks.listen(self.device, opened, self.stream, partial(record.setup, chosen))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.loop)
        try:
            yield
            assert not task.done(), "it runs for ever"
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.stream.close()

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(SOON):
            while not true():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.02)

    async def heard(self, more: int = 3) -> None:
        wanted = len(self.readings) + more
        await self.until(lambda: len(self.readings) >= wanted)


@asynccontextmanager
async def module(tmp_path: Path, **told: Any) -> AsyncIterator[radar.Module]:
    with (
        Wire(tmp_path / "near", tmp_path / "far", radar.BAUD),
        radar.Module(tmp_path / "far", **told) as made,
    ):
        watching = asyncio.create_task(made.watch())
        try:
            yield made
        finally:
            watching.cancel()


async def test_engineering_mode_is_set_before_anything_is_heard(tmp_path: Path) -> None:
    listening = Listening(tmp_path, set_up=True, engineering=True)
    async with module(tmp_path) as there, listening.running():
        await listening.heard()
        assert there.orders == [ENABLE, ENGINEERING, END]
        assert not there.configuring
    assert all("gate8_still_energy" in reading.values for reading in listening.readings)
    assert listening.device.not_set_up == ""
    assert not listening.device.faults


async def test_a_module_is_told_nothing_unless_the_configuration_says_so(tmp_path: Path) -> None:
    listening = Listening(tmp_path, engineering=True)
    async with module(tmp_path) as there, listening.running():
        await listening.heard()
        assert there.orders == []
    assert "gate8_still_energy" not in listening.readings[-1].values


async def test_a_module_that_was_left_in_configuration_speaks_again(tmp_path: Path) -> None:
    listening = Listening(tmp_path, set_up=True)
    async with module(tmp_path) as there:
        there.configuring = True
        async with listening.running():
            await listening.heard()
    assert listening.device.not_set_up == ""


async def test_a_module_that_does_not_answer_is_named_once_and_heard(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    listening = Listening(tmp_path, set_up=True, engineering=True)
    async with module(tmp_path, deaf=True) as there, listening.running():
        await listening.heard()
        assert there.orders == []
        assert listening.device.not_set_up.startswith("not set up: Garbled: ")
        assert listening.device.problem == ""
        assert [line for line in caplog.messages if "set up" in line] == [
            line for line in caplog.messages if "radar-1 could not be set up" in line
        ]
    assert len([line for line in caplog.messages if "set up" in line]) == 1


async def test_it_is_set_up_again_when_its_port_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    listening = Listening(tmp_path, set_up=True, engineering=True)
    async with listening.running():
        async with module(tmp_path, deaf=True):
            await listening.heard()
        await listening.until(lambda: listening.device.problem)
        async with module(tmp_path) as there:
            await listening.heard()
            assert there.orders == [ENABLE, ENGINEERING, END]
        assert listening.device.not_set_up == ""
    assert [line for line in caplog.messages if line == "radar-1 is set up"] != []


async def test_the_speed_is_changed_where_the_module_has_its_factory_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radar, "BAUD", 115_200)
    listening = Listening(tmp_path, "ld2412", set_up=True, baud=57_600)
    someone = bytes.fromhex("F4F3F2F10B0002AA02000000A000645500F8F7F6F5")
    monkeypatch.setattr(radar, "report", lambda *_, **__: someone)
    with (
        Wire(tmp_path / "near", tmp_path / "far", None),
        TtyEnd(tmp_path / "far") as end,
        radar.Module(tmp_path / "far") as there,
    ):
        end.set_speed(115_200)
        watching = asyncio.create_task(there.watch())
        async with listening.running():
            await listening.heard()
        watching.cancel()
    assert there.orders[:3] == [ENABLE, BAUD, RESTART]
    assert there.orders[-1] == END
    assert listening.device.not_set_up == ""
    assert listening.readings[-1].values["still_distance"] == 1.6


async def test_a_tracking_radar_takes_its_orders_between_its_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = bytes.fromhex("AAFF03000E03B1861000400100000000000000000000000000000000 55CC".replace(" ", ""))
    monkeypatch.setattr(radar, "report", lambda *_, **__: someone)
    monkeypatch.setattr(radar, "_PERIOD", 0.05)
    listening = Listening(tmp_path, "ld2450", set_up=True)
    async with module(tmp_path) as there, listening.running():
        await listening.heard()
        assert there.orders == [ENABLE, END]
    assert listening.readings[-1].values["target_count"] == 1
    assert listening.device.not_set_up == ""
    assert not listening.device.faults


async def test_a_stop_in_the_middle_does_not_leave_the_module_silent(tmp_path: Path) -> None:
    listening = Listening(tmp_path, set_up=True)
    async with module(tmp_path) as there:
        task = asyncio.create_task(listening.loop)
        await listening.until(lambda: there.configuring)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await listening.until(lambda: not there.configuring)
    await listening.stream.close()
