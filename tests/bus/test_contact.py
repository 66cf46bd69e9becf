"""Contacts as ports. Modem lines and pins are simulated, as there are none here; the rest is real."""

import asyncio
import errno
import os
import struct
import sys
import termios
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent.bus import contact, levels
from edge_agent.bus.address import Address
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.bus.stream import ByteStream
from edge_agent.bus.talker import SerialStream
from edge_agent.clock import SystemClock
from edge_agent.collect import tasks
from edge_agent.collect.device import Device
from edge_agent.processing.plan import plan_for
from edge_agent.reading import Reading
from edge_agent.registry import load
from edge_agent.settings.device import Device as Settings

SOON = 60  # seconds: a limit, not a measure
CTS = "contact:///dev/null?line=cts"
FORMAT = SerialFormat(9600)
CUT = load("contact").cut
assert CUT is not None


class Kernel:
    """What a serial adapter's driver answers about its modem lines. It may be ``dumb`` or ``deaf``."""

    def __init__(self) -> None:
        self.dumb = self.deaf = self.gone = False
        self._bits = termios.TIOCM_RTS
        self._changed = threading.Condition()
        self._changes = {termios.TIOCM_CTS: 0, termios.TIOCM_DSR: 0}
        self.asked = 0

    def set(self, mask: int, *, active: bool) -> None:
        with self._changed:
            self._bits = self._bits | mask if active else self._bits & ~mask
            self._changes[mask] += 1
            self._changed.notify_all()

    def held(self) -> AbstractContextManager[object]:
        """Let nobody ask meanwhile."""
        return self._changed

    def unplug(self) -> None:
        with self._changed:
            self.gone = True
            self._changed.notify_all()

    def ioctl(self, _descriptor: int, request: int, argument: Any) -> Any:
        with self._changed:
            if self.gone:
                raise OSError(errno.EIO, "Input/output error")
            if request == termios.TIOCMGET:
                self.asked += 1
                return struct.pack("i", self._bits)
            assert request == termios.TIOCMIWAIT
            if self.dumb:
                raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
            before = self._changes[argument]
            if not self._changed.wait_for(
                lambda: self.gone or (self._changes[argument] != before and not self.deaf), 60
            ):
                pytest.fail("a thread sleeps for ever")
            if self.gone:
                raise OSError(errno.EIO, "Input/output error")
        return 0


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    kernel = Kernel()
    monkeypatch.setattr(contact, "ioctl", kernel.ioctl)
    monkeypatch.setattr(levels, "BEAT", 1000.0)  # or a level is said again, however long a test takes
    yield kernel
    kernel.unplug()  # so that no thread of a test outlives it
    for thread in threading.enumerate():
        if thread.name.startswith("contact["):
            thread.join(SOON)
            assert not thread.is_alive()


class Said:
    """What a port says, as it comes."""

    def __init__(self) -> None:
        self.levels: list[str] = []
        self.problem = ""

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(SOON):
            while not true():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def heard(port: str) -> AsyncIterator[Said]:
    assert CUT is not None
    stream, said = SerialStream(port, FORMAT, CUT), Said()

    async def listen() -> None:
        while True:
            try:
                async for frame in stream.frames():
                    said.levels.append(frame.decode())
            except BusError as error:
                said.problem = str(error)

    task = asyncio.create_task(listen())
    try:
        yield said
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await stream.close()


async def test_the_first_level_is_said_at_once_and_then_each_change(kernel: Kernel) -> None:
    async with heard(CTS) as said:
        await said.until(lambda: said.levels == ["0"])
        kernel.set(termios.TIOCM_CTS, active=True)
        await said.until(lambda: said.levels == ["0", "1"])
        kernel.set(termios.TIOCM_CTS, active=False)
        await said.until(lambda: said.levels == ["0", "1", "0"])
        before = kernel.asked
        await asyncio.sleep(0.5)
        assert kernel.asked == before, "nothing polls"


async def test_another_line_is_not_this_one(kernel: Kernel) -> None:
    kernel.set(termios.TIOCM_DSR, active=True)
    async with heard(CTS) as said, heard("contact:///dev/null?line=dsr") as other:
        await said.until(lambda: said.levels == ["0"])
        await said.until(lambda: other.levels == ["1"])
        kernel.set(termios.TIOCM_CTS, active=True)
        await said.until(lambda: said.levels == ["0", "1"])
    assert other.levels == ["1"]


async def test_a_contact_that_bounces_changes_once(kernel: Kernel) -> None:
    async with heard(CTS) as said:
        await said.until(lambda: said.levels == ["0"])
        with kernel.held():  # so that no pause of this process is taken for rest
            for _ in range(20):
                kernel.set(termios.TIOCM_CTS, active=True)
                kernel.set(termios.TIOCM_CTS, active=False)
            kernel.set(termios.TIOCM_CTS, active=True)
        await said.until(lambda: len(said.levels) > 1)
        await asyncio.sleep(4 * levels.DEBOUNCE)
    assert said.levels == ["0", "1"]


async def test_a_contact_at_rest_is_heard(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "BEAT", 0.05)
    async with heard(CTS) as said:
        await said.until(lambda: len(said.levels) >= 5)
        assert set(said.levels) == {"0"}
        assert kernel.asked >= 5, "the level is read again, and not only said again"


async def test_an_adapter_that_cannot_tell_is_read_again_and_again(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(contact, "_POLL", 0.02)
    kernel.dumb = True
    async with heard(CTS) as said:
        await said.until(lambda: said.levels == ["0"])
        kernel.set(termios.TIOCM_CTS, active=True)
        await said.until(lambda: said.levels == ["0", "1"])
    (line,) = [line for line in caplog.messages if "does not tell of changes" in line]
    assert CTS in line
    assert "is read every 0.02 s" in line


async def test_an_adapter_that_never_tells_is_noticed(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(levels, "BEAT", 0.2)
    monkeypatch.setattr(contact, "_POLL", 0.02)
    kernel.deaf = True
    async with heard(CTS) as said:
        await said.until(lambda: "0" in said.levels)
        kernel.set(termios.TIOCM_CTS, active=True)
        await said.until(lambda: "1" in said.levels)
        await said.until(lambda: "(no word of a change)" in caplog.text)
        kernel.set(termios.TIOCM_CTS, active=False)
        await said.until(lambda: said.levels[-1] == "0")
    assert caplog.text.count("(no word of a change)") == 1


async def test_an_adapter_that_is_unplugged_comes_back(kernel: Kernel) -> None:
    async with heard(CTS) as said:
        await said.until(lambda: said.levels == ["0"])
        kernel.unplug()
        await said.until(lambda: said.problem)
        assert said.problem.startswith(f"{CTS} is gone (")
        kernel.set(termios.TIOCM_CTS, active=True)
        kernel.gone = False
        await said.until(lambda: said.levels == ["0", "1"])


async def test_a_pir_becomes_motion(kernel: Kernel) -> None:
    record = load("contact")
    chosen = record.settings.model_validate({"kind": "motion"})
    opened: Any = record.open(chosen)
    told = Settings.model_validate(
        {"driver": "contact", "bus": "b", "interval": "1h", "channel": {"motion": {"hold": "200ms"}}}
    )
    readings: list[Reading] = []
    plan = plan_for(told, opened.channels, True)
    device = Device("pir-1", opened.channels, plan, SystemClock("always"), readings.append)
    assert CUT is not None
    stream = SerialStream(CTS, FORMAT, CUT)
    task = asyncio.create_task(tasks.listen(device, opened, stream))
    said = Said()
    await said.until(lambda: readings)
    for active in (True, False):
        before = stream.exchanges
        kernel.set(termios.TIOCM_CTS, active=active)
        await said.until(lambda: stream.exchanges > before)  # noqa: B023 - used at once
    await said.until(lambda: len(readings) == 3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await stream.close()
    assert [reading.values for reading in readings] == [
        {"motion": False},
        {"motion": True},
        {"motion": False},
    ]
    assert readings[2].mono_ms - readings[1].mono_ms >= 200


async def test_what_has_no_modem_lines_is_refused_by_the_real_kernel() -> None:
    ours, theirs = os.openpty()
    try:
        with pytest.raises(BusError, match=r"has no modem lines .*use an adapter that brings DCD out"):
            await contact.open_contact(Address.parse(f"contact://{os.ttyname(theirs)}?line=dcd"))
    finally:
        os.close(ours)
        os.close(theirs)
    with pytest.raises(BusError, match="/dev/ttyUSB77 is not there"):
        await contact.open_contact(Address.parse("contact:///dev/ttyUSB77?line=dcd"))


class Pin:
    """A line request of gpiod: its descriptor is readable while there are edges that were not read."""

    def __init__(self) -> None:
        self.fd, self._edge = os.pipe()
        os.set_blocking(self.fd, False)
        self.level = False
        self.released = False

    def set(self, *, active: bool) -> None:
        self.level = active
        os.write(self._edge, b"e")

    def read_edge_events(self) -> None:
        os.read(self.fd, 100)

    def get_value(self, pin: int) -> Any:
        assert pin == 17
        return SimpleNamespace(value=int(self.level))

    def release(self) -> None:
        self.released = True
        os.close(self.fd)
        os.close(self._edge)


async def test_a_pin_is_watched_without_a_thread() -> None:
    pin = Pin()
    threads = threading.active_count()
    stream = ByteStream("gpio://gpiochip0/17", contact._watched(pin, 17), None)  # type: ignore[arg-type]  # simulated
    async with asyncio.timeout(SOON):
        assert await stream.read() == b"0"
        for active in (True, False, True):
            pin.set(active=active)
        assert await stream.read() == b"1"
        pin.set(active=False)
        assert await stream.read() == b"0"
    assert threading.active_count() == threads
    stream.close()
    assert pin.released


async def test_a_pin_that_is_not_there_is_named() -> None:
    with pytest.raises(BusError, match=r"gpio://gpiochip99/17\?pull=up cannot be used \(.*gpioinfo"):
        await contact.open_gpio(Address.parse("gpio://gpiochip99/17?pull=up"))


async def test_gpiod_is_needed_only_for_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(
        BusError, match=r"needs gpiod; install it with `pip install 'smartpark-edge-agent\[gpio\]'`"
    ):
        await contact.open_gpio(Address.parse("gpio://gpiochip0/17"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("contact:///dev/serial/by-id/x-if00?line=ri", ("contact", "/dev/serial/by-id/x-if00", "ri", "")),
        ("gpio://gpiochip0/17", ("gpio", "/dev/gpiochip0", "17", "")),
        ("gpio://gpiochip4/5?pull=down", ("gpio", "/dev/gpiochip4", "5", "down")),
    ],
)
def test_a_contact_has_a_name(text: str, told: tuple[str, ...]) -> None:
    address = Address.parse(text)
    assert (address.kind, address.device, address.line, address.pull) == told
    assert address.is_contact


@pytest.mark.parametrize(
    "text",
    ["contact:///dev/ttyUSB0", "contact:///dev/ttyUSB0?line=rts", "contact://ttyUSB0?line=cts", "gpio://17"],
)
def test_what_is_no_contact_is_told_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no contact; write contact:///dev/ttyUSB0\?line=cts"):
        Address.parse(text)
