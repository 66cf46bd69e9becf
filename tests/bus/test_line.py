"""The fault script: every way in which an answer goes wrong, over a wire that takes its time at 9600 baud."""

import asyncio
import logging
import os
import termios
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu, crc16, read_request, request
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.demo.wire import Wire
from edge_agent.driver import Garbled, NoAnswer, Read, Refused
from tests.bus.network import PATIENT, descriptors, until

FORMAT = SerialFormat(9600)
UNITS = [1, 2, 3, 17, 200, 247]
WITHIN, LATENESS = 0.2, 0.9  # where no answer comes, or a late one
Says = list[tuple[float, bytes]]


def sealed(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


def answer(question: Read) -> bytes:
    """Each register holds its own number, so that a value tells which question it answers."""
    registers = range(question.start, question.start + question.count)
    values = b"".join(register.to_bytes(2, "big") for register in registers)
    return sealed(bytes([question.unit, 4, len(values)]) + values)


def value(question: Read) -> bytes:
    return answer(question)[3:-2]


class Slave:
    """Says after each request what its script says, each word some seconds later."""

    def __init__(self, port: Path) -> None:
        self.asked: list[Read] = []
        self.script: Callable[[Read], Says] = lambda question: [(0, answer(question))]
        self.was_asked = asyncio.Event()
        self._heard = b""
        self._descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._hear)

    def _hear(self) -> None:
        try:
            piece = os.read(self._descriptor, 99)
        except OSError:
            piece = b""
        if not piece:
            self._loop.remove_reader(self._descriptor)
            return
        self._heard += piece
        while len(self._heard) >= 8:
            question = read_request(self._heard[:8])
            self._heard = self._heard[8:]
            self.asked.append(question)
            self.was_asked.set()
            for later, word in self.script(question):
                self._loop.call_later(later, self.say, word)

    def say(self, word: bytes) -> None:
        if self._descriptor >= 0:
            os.write(self._descriptor, word)

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1


class Bench:
    def __init__(self, path: Path) -> None:
        self.wire = Wire(path / "near", path / "far", 9600)
        self.line = SerialLine(str(path / "near"), FORMAT, lateness=LATENESS)
        self.once = Rtu(self.line, within=PATIENT)
        self.hasty = Rtu(self.line, within=WITHIN)
        self.device = Rtu(self.line.place(), within=PATIENT)
        self.slave: Slave

    def plug_in(self) -> None:
        self.wire.__enter__()
        self.slave = Slave(self.wire.far)

    def unplug(self) -> None:
        self.slave.close()
        self.wire.__exit__(None, None, None)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    made.plug_in()
    yield made
    await made.line.close()
    made.unplug()


def behind(noise: bytes) -> Callable[[Read], Says]:
    return lambda question: [(0.01, noise), (0.03, answer(question) + b"\x00")]


@pytest.mark.parametrize("unit", UNITS)
async def test_good_answers_behind_every_noise(bench: Bench, unit: int) -> None:
    question = Read(unit, "input", 2, 4)
    for noise in [
        b"",
        b"\x00",
        b"\xff",
        b"\x00\xff\x55",
        bytes([unit]),
        bytes([unit, 4]),
        bytes([unit, 0x84]),
    ]:
        bench.slave.script = behind(noise)
        assert await bench.once.read(question) == value(question)
    assert len(bench.slave.asked) == bench.line.exchanges == 7
    assert bench.line.skipped >= 9


async def test_a_tap_hears_both_directions(bench: Bench) -> None:
    passed: list[tuple[str, bytes]] = []
    line = SerialLine(str(bench.wire.near), FORMAT, tap=lambda *piece: passed.append(piece))
    question = Read(7, "input", 2, 4)
    await Rtu(line, within=PATIENT).read(question)
    await line.close()
    assert passed[0] == ("sent", request(question))
    assert {direction for direction, _ in passed[1:]} == {"heard"}
    assert b"".join(piece for _, piece in passed[1:]) == answer(question)


async def test_the_largest_answer(bench: Bench) -> None:
    question = Read(1, "input", 0, 125)
    assert await bench.once.read(question) == value(question)


@pytest.mark.parametrize("unit", UNITS)
async def test_an_exception_is_a_refusal(bench: Bench, unit: int) -> None:
    bench.slave.script = lambda _: [(0, b"\x00" + sealed(bytes([unit, 0x84, 2])))]
    with pytest.raises(Refused, match=r"code 2"):
        await bench.device.read(Read(unit, "input", 600, 1))
    assert len(bench.slave.asked) == 1


def bad_checksum(question: Read) -> Says:
    good = answer(question)
    return [(0, good[:-1] + bytes([good[-1] ^ 1]))]


def half_a_frame(question: Read) -> Says:
    return [(0, answer(question)[:6])]


def another_unit(question: Read) -> Says:
    return [(0, answer(Read(question.unit ^ 8, "input", question.start, question.count)))]


def another_count(question: Read) -> Says:
    return [(0, answer(Read(question.unit, "input", question.start, question.count - 1)))]


def another_function(question: Read) -> Says:
    return [(0, sealed(bytes([question.unit, 3]) + answer(question)[2:-2]))]


def babble(_: Read) -> Says:
    return [(0, b"U" * 1500)]


WRONG = [bad_checksum, half_a_frame, another_unit, another_count, another_function, babble]


@pytest.mark.parametrize("unit", [1, 247])
@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_garbled_and_harms_nobody_else(
    bench: Bench, wrong: Callable[[Read], Says], unit: int
) -> None:
    question, neighbour = Read(unit, "input", 2, 4), Read(5, "input", 50, 4)
    bench.slave.script = lambda asked: wrong(asked) if asked.unit == unit else [(0, answer(asked))]
    with pytest.raises(Garbled, match="without an answer"):
        await Rtu(bench.line, within=1.0).read(question)
    assert await bench.once.read(neighbour) == value(neighbour)
    bench.slave.script = lambda asked: [(0, answer(asked))]
    assert await bench.once.read(question) == value(question)


async def test_somebody_elses_password_is_not_told(bench: Bench) -> None:
    command = bytes.fromhex("68 61 01 00 00 00 00 68 14 06 33 35 78 9A BC DE 11 16")
    bench.slave.script = lambda _: [(0, command)]
    with pytest.raises(Garbled, match=r"68 14 06 \.\. \.\. \.\. \.\. \.\. \.\. 11 16$"):
        await Rtu(bench.line, within=1.0).read(Read(1, "input", 2, 4))


@pytest.mark.parametrize("wrong", WRONG[:2])
async def test_one_more_try_mends_it(bench: Bench, wrong: Callable[[Read], Says]) -> None:
    question, device = Read(1, "input", 2, 4), Rtu(bench.line.place(), within=2.0)
    assert await device.read(question) == value(question)
    bench.slave.script = lambda asked: wrong(asked) if len(bench.slave.asked) == 2 else [(0, answer(asked))]
    assert await device.read(question) == value(question)
    assert len(bench.slave.asked) == 3


@pytest.mark.parametrize("noise", [b"", b"\x00", b"\xff\x00"])
async def test_a_dead_device_is_no_answer(bench: Bench, noise: bytes) -> None:
    bench.slave.script = lambda _: [(0.01, noise)]
    with pytest.raises(NoAnswer):
        await Rtu(bench.line.place(), within=WITHIN).read(Read(1, "input", 2, 4))
    assert len(bench.slave.asked) == 1


@pytest.mark.parametrize("unit", UNITS)
async def test_a_late_answer_is_never_taken_for_another_register(bench: Bench, unit: int) -> None:
    first, second = Read(unit, "input", 0, 4), Read(unit, "input", 50, 4)
    bench.slave.script = lambda asked: [(WITHIN * 1.5 if asked == first else 0, answer(asked))]
    line = SerialLine(str(bench.wire.near), FORMAT, lateness=2.0)
    with pytest.raises(NoAnswer):
        await Rtu(line, within=WITHIN).read(first)
    assert await Rtu(line, within=PATIENT).read(second) == value(second)
    await line.close()


async def test_an_answer_after_1200_ms_by_default(bench: Bench, tmp_path: Path) -> None:
    line = SerialLine(str(tmp_path / "near"), FORMAT)
    first, second = Read(1, "input", 0, 4), Read(1, "input", 50, 4)
    bench.slave.script = lambda asked: [(1.2 if asked == first else 0, answer(asked))]
    with pytest.raises(NoAnswer):
        await Rtu(line, within=0.3).read(first)
    assert await Rtu(line, within=PATIENT).read(second) == value(second)
    await line.close()


async def test_cancelled_in_flight_the_line_stays_usable(bench: Bench) -> None:
    first, second = Read(1, "input", 0, 4), Read(1, "input", 50, 4)
    bench.slave.script = lambda asked: [(0.1, answer(asked))]
    asking = asyncio.create_task(Rtu(bench.line, within=2.0).read(first))
    await bench.slave.was_asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await bench.once.read(second) == value(second)


async def test_a_local_echo_is_dropped(bench: Bench) -> None:
    question = Read(1, "input", 2, 4)
    bench.slave.script = lambda asked: [(0, request(asked)), (0.02, answer(asked))]
    assert await bench.once.read(question) == value(question)
    bench.slave.script = lambda asked: [(0, request(asked))]
    with pytest.raises(NoAnswer):
        await bench.hasty.read(question)


async def test_exchanges_take_turns_in_order(bench: Bench) -> None:
    questions = [Read(unit, "input", unit, 2) for unit in UNITS]
    heard = await asyncio.gather(*(bench.once.read(question) for question in questions))
    assert heard == [value(question) for question in questions]
    assert bench.slave.asked == questions


async def test_a_line_that_is_never_quiet_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.bus.line.BABBLE", 0.3)
    question = Read(1, "input", 2, 4)
    assert await bench.once.read(question) == value(question)
    bench.line._gap = 2.0  # longer than a busy machine pauses in what is said here
    babbling = asyncio.create_task(_babble(bench.slave))
    stream = await bench.line._port.stream()
    before = stream.heard_at
    await until(lambda: stream.heard_at > before)
    with pytest.raises(Garbled, match="never quiet"):
        _ = [await bench.once.read(question) for _ in range(5)]  # it is quiet while the machine pauses
    babbling.cancel()


async def _babble(slave: Slave) -> None:
    while True:
        slave.say(b"U" * 100)
        await asyncio.sleep(0.1)


async def test_a_device_at_another_speed(bench: Bench) -> None:
    question = Read(1, "input", 2, 4)
    slow = Rtu(bench.line, within=PATIENT, speed=2400)
    speeds = []
    for rtu in (bench.once, slow, bench.once):
        assert await rtu.read(question) == value(question)
        stream = await bench.line._port.stream()
        speeds.append((stream.speed, termios.tcgetattr(stream._descriptor)[5]))
    assert speeds == [(9600, termios.B9600), (2400, termios.B2400), (9600, termios.B9600)]


async def test_unplugged_in_mid_answer_and_back(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge_agent.bus")
    question = Read(1, "input", 0, 100)
    loop = asyncio.get_running_loop()
    assert await bench.once.read(question) == value(question)
    before = descriptors()

    bench.slave.script = lambda asked: [(0, answer(asked)[:50])]
    loop.call_later(0.05, bench.unplug)
    with pytest.raises(BusError, match="near is gone"):
        await bench.once.read(question)
    for _ in range(3):  # at once, and without touching the port
        with pytest.raises(BusError, match="near is gone"):
            await bench.once.read(question)
    assert "near is gone" in bench.line.problem
    assert bench.line.retry_in > 0

    await asyncio.sleep(bench.line.retry_in)
    with pytest.raises(BusError, match="near is not there"):
        await bench.once.read(question)
    assert bench.line.retry_in > 0

    bench.plug_in()
    await asyncio.sleep(bench.line.retry_in)
    assert await bench.once.read(question) == value(question)
    assert (bench.line.problem, bench.line.reopened, bench.line.retry_in) == ("", 1, 0)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "is gone" in said[0]
    assert said[1].endswith("near is back")
    assert descriptors() == before


async def test_unplugged_while_idle_is_noticed_at_once(bench: Bench) -> None:
    question = Read(1, "input", 0, 1)
    await bench.once.read(question)
    bench.unplug()
    await until(lambda: "is gone" in bench.line.problem)
    bench.plug_in()


async def test_a_closed_line_stays_closed(bench: Bench) -> None:
    question = Read(1, "input", 0, 1)
    bench.slave.script = lambda _: []
    asking = asyncio.create_task(bench.once.read(question))
    await bench.slave.was_asked.wait()
    for _ in range(2):
        await bench.line.close()
    with pytest.raises(BusError, match="closed"):
        await asking
    with pytest.raises(BusError, match="closed"):
        await bench.once.read(question)
