"""C14: one RS-485 with Modbus and DL/T 645 devices, three of them dead, and all the dirt of a real pair."""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import SerialFormat
from edge_agent.clock import SystemClock
from edge_agent.collect import tasks
from edge_agent.collect.device import Device
from edge_agent.collect.polling import Polling
from edge_agent.demo.tty_end import TtyEnd
from edge_agent.demo.wire import Wire
from edge_agent.processing.plan import Plan
from tests.faults.cabinet import BAUD, BYTE, METERS, UNITS, Asked, Cabinet
from tests.faults.rig import Record
from tests.faults.virtual import VirtualLoop, opener

pytestmark = pytest.mark.xdist_group("faults-c14")

INTERVAL = 5.0
_BEAT = 0.05  # seconds; what comes as late is a pause of this process, in which nobody keeps a schedule
_EVERY = [*(f"unit {number + 1}" for number in range(UNITS)), *(f"meter {at + 1}" for at in range(METERS))]


class Reader:
    """Twenty devices on one line, asked as the agent asks them."""

    def __init__(self, line: SerialLine, seed: int, dead: frozenset[str]) -> None:
        self.line, self.dead = line, dead
        self.readings: Counter[str] = Counter()
        self.drivers = [Asked(name, random.Random(f"{seed} {name}")) for name in _EVERY]
        self.devices = [self._device(driver) for driver in self.drivers]

    def _device(self, driver: Asked) -> Device:
        def keep(_: object) -> None:
            self.readings[driver.name] += 1

        return Device(driver.name, driver.channels, Plan({}, {}, None), SystemClock("always"), keep)

    def loops(self) -> list[Coroutine[Any, Any, None]]:
        made = []
        for device, driver in zip(self.devices, self.drivers, strict=True):
            place = self.line.place()
            over: Any = Rtu(place) if device.id.startswith("unit") else place
            asked: Any = driver
            made.append(tasks.ask(device, asked, over, place, Polling(INTERVAL)))
        return made

    def judge(self, seconds: float, cabinet: Cabinet, record: Record, title: str) -> None:
        wrong = [error for driver in self.drivers for error in driver.wrong]
        living = [name for name in _EVERY if name not in self.dead]
        schedule = {name: self.readings[name] * INTERVAL / seconds for name in living}
        worst = min(schedule, key=schedule.__getitem__)
        tries = sum(device.faults.total() for device in self.devices if device.id in self.dead)
        record(
            "C14", title, exchanges=self.line.exchanges, misattributed=len(wrong),
            worst_schedule=round(schedule[worst], 3), busy=round(self.line.busy, 2),
            dead_tried=tries, **self.line.failures, **dict(sorted(cabinet.did.items())),
        )  # fmt: skip
        assert not wrong, wrong[:5]
        due = seconds / INTERVAL
        assert sum(self.readings[name] for name in living) >= 0.9 * due * len(living)
        # Two less: one is under way at the end, and in a short run noise may take one by chance.
        assert self.readings[worst] >= 0.9 * due - 2, f"{worst} kept {schedule[worst]:.2f} of its schedule"


async def _run(reader: Reader, cabinet: Cabinet, enough: Callable[[], bool]) -> float:
    """Run until it is enough; return for how many seconds, without those in which the machine did nothing."""
    loop = asyncio.get_running_loop()
    began, paused = loop.time(), 0.0
    running = [asyncio.create_task(one) for one in [*reader.loops(), cabinet.noise(0.5, 4)]]
    while not enough():
        before = loop.time()
        await asyncio.sleep(_BEAT)
        late = loop.time() - before - _BEAT
        paused += late * (late > _BEAT)
    seconds = loop.time() - began - paused
    for task in running:
        task.cancel()
    for task in running:
        with suppress(asyncio.CancelledError):
            await task
    await reader.line.close()
    return seconds


@pytest.mark.parametrize(
    ("exchanges", "seed", "echo"),
    [
        (5_000, 1, False),
        (5_000, 2, True),
        pytest.param(50_000, 3, False, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
        pytest.param(50_000, 4, True, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_no_answer_is_ever_taken_for_another(
    exchanges: int, seed: int, *, echo: bool, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At virtual time, byte times as at 9600 baud."""
    random.seed(seed)
    ours, theirs = socket.socketpair()
    monkeypatch.setattr("edge_agent.bus.port.open_stream", opener(ours))

    async def main() -> None:
        theirs.setblocking(False)

        def say(said: bytes) -> None:
            theirs.send(said)

        cabinet = Cabinet(say, seed, echo=echo, byte=BYTE)
        asyncio.get_running_loop().add_reader(theirs.fileno(), lambda: cabinet.hear(theirs.recv(4096)))
        line = SerialLine("/dev/virtual", SerialFormat(BAUD))
        reader = Reader(line, seed, cabinet.dead)
        seconds = await _run(reader, cabinet, lambda: line.exchanges >= exchanges)
        asyncio.get_running_loop().remove_reader(theirs.fileno())
        title = f"{exchanges} exchanges with 20 devices, 3 dead{', echo' if echo else ''}; virtual time"
        reader.judge(seconds, cabinet, record, title)

    with theirs, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    ("seconds", "seed"),
    [(20, 5), pytest.param(900, 6, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])],
)
async def test_neighbours_keep_their_schedule_on_a_real_tty(
    seconds: float, seed: int, tmp_path: Path, record: Record
) -> None:
    """On a wire that takes its time at 9600 baud."""
    loop = asyncio.get_running_loop()
    with Wire(tmp_path / "near", tmp_path / "far", BAUD), ExitStack() as stack:
        late = (1.02, 1.3)  # so that a pause of this process makes none later than the line waits for it
        cabinet = Cabinet(lambda said: end.send(said), seed, late=late)  # noqa: PLW0108 - it has no end yet
        end = stack.enter_context(TtyEnd(tmp_path / "far", cabinet.hear))
        reader = Reader(SerialLine(str(tmp_path / "near"), SerialFormat(BAUD)), seed, cabinet.dead)
        until = loop.time() + seconds
        took = await _run(reader, cabinet, lambda: loop.time() >= until)
    reader.judge(took, cabinet, record, f"20 devices at 9600 baud, 3 dead, {seconds:g} s")
