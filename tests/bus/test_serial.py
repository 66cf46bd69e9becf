import asyncio
import errno
import os
import pty
import select
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial as pyserial

from edge_agent.bus import serial as door
from edge_agent.bus import stream as streams
from edge_agent.bus.address import Address
from edge_agent.bus.remedy import why_not_opened
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.bus.stream import ByteStream, open_stream


async def opened(
    port: str, on_lost: Callable[[BusError], None] = lambda _: None, baud: int = 9600
) -> ByteStream:
    return await open_stream(Address.parse(port), SerialFormat(baud), on_lost=on_lost)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - a thread's end and a kernel's buffer set no event
            await asyncio.sleep(0.01)


def arrived(stream: ByteStream) -> None:
    """Wait until the kernel has passed on what the far end wrote: it has a thread for that."""
    assert select.select([stream._descriptor], [], [], 60)[0]


class Far:
    """The far end of a plain pty pair."""

    def __init__(self) -> None:
        self.descriptor, self._near = pty.openpty()
        tty.setraw(self._near)
        self.port = os.ttyname(self._near)

    def unplug(self) -> None:
        for descriptor in (self.descriptor, self._near):
            if descriptor >= 0:
                os.close(descriptor)
        self.descriptor = self._near = -1


@pytest.fixture
def far() -> Iterator[Far]:
    end = Far()
    yield end
    end.unplug()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9600 8N1", SerialFormat(9600)),
        ("2400 8E1", SerialFormat(2400, 8, "E", 1)),
        (" 300,7e1 ", SerialFormat(300, 7, "E", 1)),
        ("256000 8N2", SerialFormat(256_000, 8, "N", 2)),
    ],
)
def test_a_format_is_read_and_written(text: str, expected: SerialFormat) -> None:
    assert SerialFormat.parse(text) == expected == SerialFormat.parse(str(expected))


@pytest.mark.parametrize(
    "text", ["", "9600", "8N1", "9600 9N1", "9600 8X1", "9600 8N3", "9600 8N1 x", "0 8N1"]
)
def test_a_format_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="9600"):
        SerialFormat.parse(text)


@pytest.mark.parametrize(("text", "bits"), [("9600 8N1", 10), ("9600 8E1", 11), ("9600 7E2", 11)])
def test_time_on_the_wire(text: str, bits: int) -> None:
    assert SerialFormat.parse(text).seconds(960) == pytest.approx(bits / 10)
    assert SerialFormat.parse(text).seconds(240, 2400) == pytest.approx(bits / 10)


async def test_bytes_go_both_ways(far: Far) -> None:
    stream = await opened(far.port)
    loop = asyncio.get_running_loop()
    await stream.write(b"\x00\r\n\x11ask")
    assert os.read(far.descriptor, 99) == b"\x00\r\n\x11ask"
    os.write(far.descriptor, b"\x03\r\n\x13\xff")
    assert await stream.read() == b"\x03\r\n\x13\xff"
    assert await stream.read(until=loop.time() + 0.01) == b""
    os.write(far.descriptor, b"stale")
    arrived(stream)
    assert stream.take() == b"stale"
    os.write(far.descriptor, b"fresh")
    assert await stream.read() == b"fresh"
    stream.close()


async def test_woken_for_bytes_that_were_just_taken_is_no_loss(far: Far) -> None:
    stream = await opened(far.port)
    os.write(far.descriptor, b"stale")
    arrived(stream)
    assert stream.take() == b"stale"
    stream._hear()
    assert not stream.lost
    stream.close()


async def test_what_nobody_reads_is_bounded(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_HELD", 100)
    stream = await opened(far.port)
    os.write(far.descriptor, b"".join(b"%9d\n" % number for number in range(30)))
    await until(lambda: stream.dropped == 200)
    heard = await stream.read()
    assert heard.endswith(b"       29\n")
    assert len(heard) == 100
    stream.close()


async def test_a_port_that_takes_no_bytes(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WRITE_LIMIT", 0.1)
    told: list[BusError] = []
    stream = await opened(far.port, told.append, 4_000_000)
    with pytest.raises(BusError, match=rf"{far.port} is gone \(takes no bytes\)"):
        await stream.write(bytes(100_000))
    assert len(told) == 1
    assert stream.lost


async def test_unplugged_while_waiting(far: Far) -> None:
    told: list[BusError] = []
    stream = await opened(far.port, told.append)
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    far.unplug()
    with pytest.raises(BusError, match=f"{far.port} is gone"):
        await reading
    for _ in range(2):
        with pytest.raises(BusError):
            await stream.write(b"x")
        stream.close()
    assert len(told) == 1


async def test_closing_wakes_the_reader_and_is_no_loss(far: Far) -> None:
    told: list[BusError] = []
    stream = await opened(far.port, told.append)
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    stream.close()
    with pytest.raises(BusError, match="closed"):
        await reading
    assert told == []


async def test_twenty_reopenings_leak_nothing(far: Far) -> None:
    (await opened(far.port)).close()  # the loop's and the executor's own descriptors
    before = descriptors()
    for _ in range(20):
        stream = await opened(far.port)
        with pytest.raises(BusError):
            await opened(far.port)
        with pytest.raises(BusError):
            await opened("/dev/null")
        stream.close()
    assert descriptors() == before


async def test_why_a_port_does_not_open(far: Far, tmp_path: Path) -> None:
    with pytest.raises(BusError, match=r"is not there; (there are: /dev/|plug in)"):
        await opened(str(tmp_path / "ttyUSB9"))
    with pytest.raises(BusError, match="/dev/null cannot be used as a serial port"):
        await opened("/dev/null")
    with pytest.raises(BusError, match="cannot be used"):
        await opened(str(tmp_path))
    stream = await opened(far.port)
    with pytest.raises(BusError, match=rf"{far.port} is in use by .*\(pid {os.getpid()}\)"):
        await opened(far.port)
    stream.close()


def test_a_remedy_for_each_cause() -> None:
    denied = why_not_opened("/dev/ttyUSB0", OSError(errno.EACCES, "denied"))
    assert "usermod -aG dialout" in denied
    assert "check its plug" in why_not_opened("/dev/ttyUSB0", OSError(errno.EIO, "i/o"))


async def test_an_open_that_hangs(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    (await opened(far.port)).close()
    before = descriptors()
    go_on, really = threading.Event(), pyserial.Serial

    def hang(*args: object, **options: object) -> object:
        go_on.wait(10)
        return really(*args, **options)

    monkeypatch.setattr(pyserial, "Serial", hang)
    monkeypatch.setattr(door, "OPEN_LIMIT", 0.05)
    with pytest.raises(BusError, match="does not open within"):
        await opened(far.port)
    with pytest.raises(BusError, match="still being opened"):
        await opened(far.port)
    go_on.set()
    monkeypatch.setattr(door, "OPEN_LIMIT", 10)
    await until(lambda: not door._under_way and descriptors() == before)
    (await opened(far.port)).close()


async def test_cancelled_while_opening(far: Far) -> None:
    (await opened(far.port)).close()
    before = descriptors()
    opening = asyncio.create_task(opened(far.port))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await until(lambda: descriptors() == before and not door._under_way)
