import asyncio
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from edge_agent.backoff import Backoff
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.bus.talker import SerialStream
from edge_agent.demo.wire import Wire
from edge_agent.driver import Frame, Need, Skip

FORMAT = SerialFormat(256_000)
# LD2450, three targets: protocol document V1.03, the example report
REPORT = bytes.fromhex("AAFF0300 0E03B1861000 4001 0000000000000000 0000000000000000 55CC")


def cut(heard: bytes) -> Frame | Need | Skip:
    at = heard.find(b"\xaa\xff\x03\x00")
    if at < 0:
        return Skip(len(heard) - 3) if len(heard) > 3 else Need(4)
    if at:
        return Skip(at)
    if len(heard) < 30:
        return Need(30)
    return Frame(30) if heard[28:30] == b"\x55\xcc" else Skip(1)


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    with Wire(tmp_path / "near", tmp_path / "far", 256_000) as made:
        yield made


class Radar:
    """Says its report again and again, with noise between."""

    def __init__(self, port: Path, noise: bytes = b"") -> None:
        self._descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._noise = noise

    async def talk(self, times: int) -> None:
        for _ in range(times):
            os.write(self._descriptor, self._noise + REPORT)
            await asyncio.sleep(0.005)

    def say(self, word: bytes) -> None:
        os.write(self._descriptor, word)

    def close(self) -> None:
        os.close(self._descriptor)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - it is the daemon's status that people poll, too
            await asyncio.sleep(0.01)


def is_open(stream: SerialStream) -> bool:
    """Say whether it hears: what was said before it opened is dropped."""
    return stream._port._stream is not None


async def take(stream: SerialStream, count: int) -> list[bytes]:
    found: list[bytes] = []
    async with asyncio.timeout(60):
        async for frame in stream.frames():
            found.append(frame)
            if len(found) == count:
                break
    return found


async def test_frames_out_of_a_stream_with_noise(wire: Wire) -> None:
    radar, stream = Radar(wire.far, b"\x00\xaa\xff"), SerialStream(str(wire.near), FORMAT, cut)
    taking = asyncio.create_task(take(stream, 20))
    await until(lambda: is_open(stream))
    await radar.talk(20)
    assert await taking == [REPORT] * 20
    assert (stream.exchanges, stream.skipped, stream.problem) == (20, 60, "")
    await stream.close()
    radar.close()


async def test_gone_and_back_without_spinning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.bus.port.Backoff", partial(Backoff, 0.1, 0.5))
    stream = SerialStream(str(tmp_path / "near"), FORMAT, cut)
    near, far = tmp_path / "near", tmp_path / "far"
    tries, began = 0, monotonic()

    async def listen() -> bytes:
        nonlocal tries
        while True:
            tries += 1
            try:
                async for frame in stream.frames():
                    return frame
            except BusError:
                continue  # as careless as a caller can be

    listening = asyncio.create_task(listen())
    await until(lambda: "is not there" in stream.problem and tries > 2)
    with Wire(near, far, 256_000):
        radar = Radar(far)
        await until(lambda: stream.reopened == 1)
        radar.say(REPORT[:17])
        held = await stream._port.stream()
        await until(lambda: held.heard_at > 0)
        radar.close()
    with Wire(near, far, 256_000):
        radar = Radar(far)
        await until(lambda: stream.reopened == 2)
        await radar.talk(1)
        async with asyncio.timeout(60):
            assert await listening == REPORT  # the half frame from before is forgotten
        radar.close()
    assert stream.skipped == 0
    assert tries < 3 + (monotonic() - began) / 0.1
    await stream.close()


async def test_closing_ends_the_reader(wire: Wire) -> None:
    stream = SerialStream(str(wire.near), FORMAT, cut)
    taking = asyncio.create_task(take(stream, 1))
    await until(lambda: is_open(stream))
    await stream.close()
    with pytest.raises(BusError, match="closed"):
        await taking


async def test_a_slow_consumer_gets_the_newest(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.bus.stream.MOST_HELD", 100)
    radar, stream = Radar(wire.far), SerialStream(str(wire.near), FORMAT, cut)
    frames = stream.frames()
    first = asyncio.ensure_future(anext(frames))
    await until(lambda: is_open(stream))
    await radar.talk(1)
    assert await first == REPORT
    await radar.talk(20)  # while nobody takes any
    held = await stream._port.stream()
    await until(lambda: held.dropped >= 20 * 30 - 100)
    assert await anext(frames) == REPORT
    assert stream.skipped >= 20 * 30 - 100
    await stream.close()
    radar.close()


def test_what_is_not_supported_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="usb:// is not supported"):
        SerialStream("usb://127.0.0.1:4001", FORMAT, cut)
