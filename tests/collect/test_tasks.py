"""The loops around devices, on paced wires with simulated devices at the far end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import SerialFormat
from edge_agent.bus.talker import SerialStream
from edge_agent.clock import SystemClock
from edge_agent.collect import tasks
from edge_agent.collect.device import Device
from edge_agent.collect.polling import Polling
from edge_agent.demo import radar, world
from edge_agent.demo.slave import Slaves, Unit, unit
from edge_agent.demo.tty_end import TtyEnd
from edge_agent.demo.wire import Wire
from edge_agent.processing.plan import Plan
from edge_agent.profile import profile_text
from edge_agent.reading import Reading
from edge_agent.registry import load

BAUD = 19_200
FORMAT = SerialFormat(BAUD)
SOON = 60  # seconds: a limit, not a measure
METER, DEAD, CLIMATE = 1, 5, 2


def climate(address: int = CLIMATE) -> Unit:
    return unit(address, profile_text("modbus", "xy_md02"), lambda: world.climate(0))


class Heard:
    """A device that waits to be heard, and a way to wait for it."""

    def __init__(self, id_: str, driver: Any) -> None:
        self.readings: list[Reading] = []
        self.device = Device(id_, driver.channels, Plan({}, {}, None), SystemClock("always"), self._keep)
        self._more = asyncio.Event()

    def _keep(self, reading: Reading) -> None:
        self.readings.append(reading)
        self._more.set()

    async def count(self, wanted: int) -> None:
        """Wait until so many more readings have come."""
        wanted += len(self.readings)
        async with asyncio.timeout(SOON):
            while len(self.readings) < wanted:
                self._more.clear()
                await self._more.wait()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    started = [asyncio.create_task(loop) for loop in loops]
    try:
        yield started
        for task in started:
            assert not task.done(), "it runs for ever"
    finally:
        for task in started:
            task.cancel()
        for task in started:
            with suppress(asyncio.CancelledError):
                await task


def modbus(address: int) -> Any:
    record = load("modbus")
    return record.open(record.settings.model_validate({"profile": "xy_md02", "address": address}))


def polling(
    heard: Heard, driver: Any, line: SerialLine, interval: float, within: float = 20
) -> Coroutine[Any, Any, None]:
    """Ask it for ever. An answer that comes is waited for, however busy the machine is."""
    place = line.place()
    return tasks.ask(heard.device, driver, Rtu(place, within=within), place, Polling(interval))


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[SerialLine]:
    line = SerialLine(str(tmp_path / "near"), FORMAT, gap=0.005, lateness=0.2)
    yield line
    await line.close()


def wired(stack: ExitStack, tmp_path: Path, *units: Unit) -> None:
    stack.enter_context(Wire(tmp_path / "near", tmp_path / "far", BAUD))
    stack.enter_context(Slaves(tmp_path / "far", list(units)))


async def test_a_device_is_asked_again_and_again(line: SerialLine, tmp_path: Path) -> None:
    driver = modbus(CLIMATE)
    heard = Heard("climate-1", driver)
    with ExitStack() as stack:
        wired(stack, tmp_path, climate())
        async with running(polling(heard, driver, line, 0.1)):
            await heard.count(5)
    times = [reading.mono_ms for reading in heard.readings]
    assert times == sorted(times)
    assert set(heard.readings[0].values) == {"temperature", "humidity"}
    assert heard.device.availability == "online"
    assert not heard.device.faults


async def test_a_dead_device_costs_its_neighbour_little(line: SerialLine, tmp_path: Path) -> None:
    living, dead = modbus(CLIMATE), modbus(DEAD)
    heard, silent = Heard("climate-1", living), Heard("climate-2", dead)
    with ExitStack() as stack:
        wired(stack, tmp_path, climate())
        async with running(polling(heard, living, line, 0.1), polling(silent, dead, line, 0.1, 0.1)):
            await until(lambda: silent.device.faults["NoAnswer"] >= 3)
            before = silent.device.faults.total()
            await heard.count(30)
            after = silent.device.faults.total()
    assert silent.readings == []
    assert set(silent.device.faults) == {"NoAnswer"}
    assert after - before < 10, "it is asked less and less often"
    assert not heard.device.faults["Garbled"], "no answer is taken for another's"
    assert silent.device.problem.startswith("NoAnswer: no answer on ")


async def test_a_dead_device_that_comes_back_is_heard(line: SerialLine, tmp_path: Path) -> None:
    driver = modbus(CLIMATE)
    heard = Heard("climate-1", driver)
    with ExitStack() as stack:
        stack.enter_context(Wire(tmp_path / "near", tmp_path / "far", BAUD))
        async with running(polling(heard, driver, line, 0.1, 0.3)):
            await until(lambda: heard.device.faults["NoAnswer"] >= 2)
            with Slaves(tmp_path / "far", [climate()]):
                await heard.count(3)
                assert heard.device.problem == ""


async def test_a_line_that_is_unplugged_and_comes_back_is_used_at_once(
    line: SerialLine, tmp_path: Path
) -> None:
    driver = modbus(CLIMATE)
    heard = Heard("climate-1", driver)
    async with running(polling(heard, driver, line, 0.1)):
        with ExitStack() as stack:
            wired(stack, tmp_path, climate())
            await heard.count(3)
        await until(lambda: "plug" in heard.device.problem or "is gone" in heard.device.problem)
        assert not heard.device.faults, "a bus that is gone is not the device's fault"
        with ExitStack() as stack:
            wired(stack, tmp_path, climate())
            await heard.count(3)
    assert heard.device.problem == ""
    assert line.reopened >= 1


async def test_a_long_interval_does_not_put_off_the_first_answer_of_a_bus_that_is_back(
    line: SerialLine, tmp_path: Path
) -> None:
    driver = modbus(CLIMATE)
    heard = Heard("climate-1", driver)
    async with running(polling(heard, driver, line, 3600)):
        await until(lambda: heard.device.problem)
        with ExitStack() as stack:
            wired(stack, tmp_path, climate())
            await heard.count(1)


async def test_devices_on_a_bus_that_is_gone_do_not_wear_out_the_board(
    line: SerialLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, loop = 0, asyncio.get_running_loop()
    carry = line.carry

    async def counted(*arguments: Any, **named: Any) -> bytes:
        nonlocal asked
        asked += 1
        return await carry(*arguments, **named)

    monkeypatch.setattr(line, "carry", counted)
    devices = [(Heard(f"climate-{address}", modbus(address)), modbus(address)) for address in range(1, 6)]
    loops = [polling(heard, driver, line, 0.1) for heard, driver in devices]
    async with running(*loops):
        await until(lambda: all(heard.device.problem for heard, _ in devices))
        before, began = asked, loop.time()
        await asyncio.sleep(2.5)
        assert asked - before <= 5 * (loop.time() - began + 1), "each asks at most once a second"


async def test_a_talker_is_heard_and_comes_back_after_the_plug_was_pulled(tmp_path: Path) -> None:
    record = load("ld2410")
    driver: Any = record.open(record.settings())
    assert record.cut is not None
    stream = SerialStream(str(tmp_path / "near"), SerialFormat(radar.BAUD), record.cut)
    heard = Heard("radar-1", driver)
    try:
        async with running(tasks.listen(heard.device, driver, stream)):
            for _ in range(2):
                with ExitStack() as stack:
                    stack.enter_context(Wire(tmp_path / "near", tmp_path / "far", radar.BAUD))
                    module = stack.enter_context(radar.Module(tmp_path / "far"))
                    reports = asyncio.create_task(module.watch())
                    await heard.count(5)
                    module.say(b"\xf4\xf3\xf2\xf1\x04\x00garbage that is no frame")
                    await heard.count(2)
                    reports.cancel()
                await until(lambda: "gone" in heard.device.problem or "plug" in heard.device.problem)
    finally:
        await stream.close()
    assert stream.reopened >= 1
    assert {"occupancy"} <= set(heard.readings[0].values)


async def test_a_frame_that_is_wrong_is_counted_and_the_next_one_is_heard(tmp_path: Path) -> None:
    record = load("ld2410")
    driver: Any = record.open(record.settings())
    assert record.cut is not None
    stream = SerialStream(str(tmp_path / "near"), SerialFormat(radar.BAUD), record.cut)
    heard = Heard("radar-1", driver)
    good = radar.report(radar.Sight(1, 100, 50, 0, 0, 100))
    bad = good[:8] + b"\x09" + good[9:]  # a target state that does not exist
    acknowledgement = bytes.fromhex("FDFCFBFA0800FF01000001004000 04030201".replace(" ", ""))
    try:
        with ExitStack() as stack:
            stack.enter_context(Wire(tmp_path / "near", tmp_path / "far", radar.BAUD))
            tty = stack.enter_context(TtyEnd(tmp_path / "far"))
            async with running(tasks.listen(heard.device, driver, stream)):
                while not heard.readings:
                    tty.send(good)
                    await asyncio.sleep(0.05)
                tty.send(bad + acknowledgement + good)
                await heard.count(1)
    finally:
        await stream.close()
    assert heard.device.faults.total() == 1
    assert heard.device.problem == ""


async def test_watching_tells_who_is_late_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_SHORTEST_LOOK", 0.01)
    looked = 0

    class Watched:
        def look(self) -> float:
            nonlocal looked
            looked += 1
            return 0.05

    watching: Any = [Watched(), Watched()]
    async with running(tasks.watch(watching)):
        await until(lambda: looked >= 6)


async def test_watching_nobody_sleeps() -> None:
    async with running(tasks.watch([])):
        await asyncio.sleep(0.05)
