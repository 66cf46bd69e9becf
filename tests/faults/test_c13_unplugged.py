"""C13: a serial adapter is pulled out in mid-frame and comes back under another name, again and again."""

import asyncio
import gc
import random
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_agent.backoff import Backoff
from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import SerialFormat
from edge_agent.bus.talker import SerialStream
from edge_agent.clock import SystemClock
from edge_agent.collect import tasks
from edge_agent.collect.device import Device
from edge_agent.collect.polling import Polling
from edge_agent.demo import radar
from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.processing.plan import Plan
from edge_agent.profile import profile_text
from edge_agent.registry import load
from tests.faults.rig import Record

pytestmark = pytest.mark.xdist_group("faults-c13")

BAUD = 9600
VALUES = {"temperature": 21.5, "humidity": 40.0}
SOON = 60  # seconds: a limit, not a measure


class Plugged:
    """An adapter with its device: a new tty each time, under the one name that lasts, as udev keeps it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.port = folder / "by-id" / "usb-FTDI_FT232R-if00-port0"
        self.port.parent.mkdir()
        self._folder, self._kind = folder, kind
        self._number = 0
        self._stack = ExitStack()
        self._reports: asyncio.Task[None] | None = None

    def plug_in(self) -> None:
        self._number += 1
        near, far = self._folder / f"ttyUSB{self._number}", self._folder / "far"
        baud = BAUD if self._kind == "line" else radar.BAUD
        self._stack.enter_context(Wire(near, far, baud))
        if self._kind == "line":
            climate = unit(2, profile_text("modbus", "xy_md02"), lambda: VALUES)
            self._stack.enter_context(Slaves(far, [climate]))
        else:
            module = self._stack.enter_context(radar.Module(far))
            self._reports = asyncio.create_task(module.watch())
        self.port.symlink_to(near.readlink())  # as by-id does: to the device, whatever it is called now

    async def pull_out(self) -> None:
        if self._reports is not None:
            self._reports.cancel()
            with suppress(asyncio.CancelledError):
                await self._reports
            self._reports = None
        self.port.unlink()
        self._stack.close()


def _descriptors() -> dict[str, int]:
    """What this process has open, by kind and count; not what an earlier test left to be collected."""
    gc.collect()
    found: dict[str, int] = {}
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            kind = str(link.readlink()).rstrip("0123456789[]:")
            found[kind] = found.get(kind, 0) + 1
    return found


@pytest.mark.parametrize("kind", ["line", "talker"])
@pytest.mark.parametrize(
    "times", [50, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
async def test_unplugged_in_mid_frame_and_back_under_another_name(
    kind: str, times: int, tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.bus.port.Backoff", partial(Backoff, 0.02, 0.1))
    monkeypatch.setattr(tasks, "_BUS_PAUSE", 0.02)
    chance = random.Random(13)
    plugged = Plugged(tmp_path, kind)
    readings, more = 0, asyncio.Event()

    def keep(_: object) -> None:
        nonlocal readings
        readings += 1
        more.set()

    driver = load("modbus" if kind == "line" else "ld2410")
    settings = {"profile": "xy_md02", "address": 2} if kind == "line" else {}
    opened: Any = driver.open(driver.settings.model_validate(settings))
    device = Device("d1", opened.channels, Plan({}, {}, None), SystemClock("always"), keep)
    line: SerialLine | SerialStream
    if kind == "line":
        line = SerialLine(str(plugged.port), SerialFormat(BAUD))
        place = line.place()
        loop = tasks.ask(device, opened, Rtu(place), place, Polling(0.1))
    else:
        assert driver.cut is not None
        line = SerialStream(str(plugged.port), SerialFormat(radar.BAUD), driver.cut)
        loop = tasks.listen(device, opened, line)
    plugged.plug_in()
    running = asyncio.create_task(loop)
    before: dict[str, int] = {}
    tasks_before = 0
    for time in range(times + 1):
        more.clear()
        async with asyncio.timeout(SOON):
            await more.wait()
        if time == 0:
            before, tasks_before = _descriptors(), len(asyncio.all_tasks())
        if time < times:
            await asyncio.sleep(chance.uniform(0, 0.1))  # somewhere in a request or an answer, or between
            await plugged.pull_out()
            async with asyncio.timeout(SOON):
                while not line.problem:  # noqa: ASYNC110 - what is waited for has no event
                    await asyncio.sleep(0.005)
            plugged.plug_in()
    assert not running.done()
    after, tasks_after = _descriptors(), len(asyncio.all_tasks())
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await line.close()
    await plugged.pull_out()
    record(
        "C13", f"a {kind} unplugged {times} times in mid-frame, back under another name",
        readings=readings, reopened=line.reopened, faults=device.faults.total(),
        descriptors_more=sum(after.values()) - sum(before.values()), tasks_more=tasks_after - tasks_before,
    )  # fmt: skip
    assert line.reopened == times
    assert after == before
    assert tasks_after == tasks_before
