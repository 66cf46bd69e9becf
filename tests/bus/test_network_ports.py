"""Ports that a network leads to."""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from edge_agent.backoff import Backoff
from edge_agent.bus import tcp
from edge_agent.bus.address import Address
from edge_agent.bus.line import SerialLine
from edge_agent.bus.mbap import Mbap
from edge_agent.bus.modbus import Rtu, crc16, read_request
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.bus.stream import open_stream
from edge_agent.bus.talker import SerialStream
from edge_agent.driver import Frame, Garbled, NoAnswer, Read, Refused
from tests.bus.network import ANSWER, FORMAT, PATIENT, QUESTION, listening
from tests.faults.broker import free_port


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/ttyUSB0", Address("/dev/ttyUSB0")),
        ("socket://10.0.0.7:4001", Address("socket://10.0.0.7:4001", "socket", "10.0.0.7", 4001)),
        ("rfc2217://[fe80::1]:4001", Address("rfc2217://[fe80::1]:4001", "rfc2217", "fe80::1", 4001)),
        ("modbus-tcp://plc", Address("modbus-tcp://plc", "modbus-tcp", "plc", 502)),
    ],
)
def test_what_names_a_port(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "tcp://h:1", "socket://", "socket://h", "socket://:1", "socket://h:x", "socket://h:0", "socket://h:70000",
        "socket://u:p@h:1", "rfc2217://h:1/x", "modbus-tcp://h:1?x", "socket://[h:1",
    ],
)  # fmt: skip
def test_what_names_none(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"socket://host:port, rfc2217://host:port or modbus-tcp://host:port"
    ):
        Address.parse(text)


async def test_a_serial_server_that_passes_bytes_on(far: Path) -> None:
    """socat joins a TCP port and the tty, as a plain serial server does."""
    number = free_port()
    command = ("socat", f"TCP-LISTEN:{number},bind=127.0.0.1,reuseaddr,fork", f"{far},rawer")
    process = await asyncio.create_subprocess_exec(*command)
    line = SerialLine(f"socket://127.0.0.1:{number}", FORMAT)
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    heard = await Rtu(line, within=PATIENT).read(QUESTION)
                    break
                except BusError:  # socat does not say when it listens
                    await asyncio.sleep(line.retry_in)
        assert heard == ANSWER
        assert [await Rtu(line, within=PATIENT).read(QUESTION) for _ in range(5)] == [ANSWER] * 5
        with pytest.raises(Refused, match="rfc2217:// can change it"):
            await Rtu(line, speed=2400).read(QUESTION)
    finally:
        await line.close()
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("scheme", ["socket", "rfc2217", "modbus-tcp"])
async def test_why_there_is_no_connection(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = free_port()
    with pytest.raises(BusError, match=rf"{scheme}://127.0.0.1:{number} cannot be reached \(.*refused"):
        await open_stream(Address.parse(f"{scheme}://127.0.0.1:{number}"), FORMAT)
    with pytest.raises(BusError, match=rf"{scheme}://nowhere.invalid:1 cannot be reached"):
        await open_stream(Address.parse(f"{scheme}://nowhere.invalid:1"), FORMAT)
    monkeypatch.setattr(tcp, "OPEN_LIMIT", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        number = full.getsockname()[1]
        crowd = []
        for _ in range(4):
            crowd.append(one := socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", number))
        with pytest.raises(BusError, match=r"cannot be reached \(no answer within 0.2 s\)"):
            await open_stream(Address.parse(f"{scheme}://127.0.0.1:{number}"), FORMAT)
        for one in crowd:
            one.close()


async def test_a_peer_that_closes_is_a_bus_that_is_gone_and_comes_back() -> None:
    heard = asyncio.Event()

    async def one_word(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        await heard.wait()
        heard.clear()

    async with listening(one_word) as number:
        talker = SerialStream(f"socket://127.0.0.1:{number}", FORMAT, lambda _: Frame(5))
        for _ in range(2):
            frames = talker.frames()
            assert await anext(frames) == b"hello"
            heard.set()
            with pytest.raises(BusError, match="is gone"):
                await anext(frames)
        assert talker.reopened == 1
        await talker.close()


async def test_a_port_that_comes_and_goes_fills_no_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A loose plug, or a server that hangs up on whoever is quiet: it is opened again as soon as ever."""
    monkeypatch.setattr("edge_agent.bus.port.Backoff", partial(Backoff, 0.01, 0.02))
    monkeypatch.setattr("edge_agent.bus.port.MOST_SAID", 3)
    caplog.set_level(logging.INFO, "edge_agent.bus.port")

    async def one_word(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()

    async with listening(one_word) as number:
        talker = SerialStream(f"socket://127.0.0.1:{number}", FORMAT, lambda _: Frame(5))
        for _ in range(8):
            frames = talker.frames()
            assert await anext(frames) == b"hello"
            with pytest.raises(BusError, match="is gone"):
                await anext(frames)
        await talker.close()
    assert talker.reopened == 7
    gone = [line for line in caplog.messages if "is gone" in line]
    assert ["it comes and goes" in line for line in gone] == [False, False, True]
    assert sum("is back" in line for line in caplog.messages) == 3


async def test_the_kernel_finds_a_peer_that_has_vanished() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address.parse(f"socket://127.0.0.1:{listener.getsockname()[1]}")
        stream = await open_stream(address, FORMAT)
        with socket.socket(fileno=os.dup(stream._descriptor)) as connected:
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
            assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            probes = [
                connected.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ]
            assert probes == [5, 5, 3]
        stream.close()


async def test_a_connection_on_which_nothing_ever_comes_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The far machine acknowledges, so that the kernel sees nothing wrong."""
    monkeypatch.setattr("edge_agent.bus.line._SILENT", 3)
    connections = 0

    async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.read(100):
            pass

    async with listening(deaf) as number:
        line = SerialLine(f"socket://127.0.0.1:{number}", FORMAT)
        for _ in range(3):
            with pytest.raises(NoAnswer):
                await Rtu(line.place(), within=0.05).read(QUESTION)
        assert "not a byte in 3 exchanges" in line.problem
        await asyncio.sleep(line.retry_in)
        with pytest.raises(NoAnswer):
            await Rtu(line.place(), within=0.05).read(QUESTION)
        assert (line.reopened, connections, line.problem) == (1, 2, "")
        await line.close()


class Gateway:
    """A Modbus TCP server that says what its script says to each question."""

    def __init__(self, script: Callable[[int, bytes], list[bytes]]) -> None:
        self.script, self.asked = script, list[bytes]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readexactly(6)
            number, protocol, length = struct.unpack(">HHH", head)
            assert protocol == 0
            self.asked.append(question := await reader.readexactly(length))
            for word in self.script(number, question):
                writer.write(word)
                await asyncio.sleep(0.01)


def told(number: int, question: bytes, value: int) -> bytes:
    body = question[:2] + b"\x02" + value.to_bytes(2, "big")
    return struct.pack(">HHH", number, 0, len(body)) + body


async def test_modbus_tcp_takes_only_the_answer_to_its_question() -> None:
    late = b""

    def script(number: int, question: bytes) -> list[bytes]:
        nonlocal late
        start = int.from_bytes(question[2:4], "big")
        answer = told(number, question, start)
        if start == 1:  # too late: comes before the next answer
            late = answer
            return []
        if start == 2:
            return [late + told(number, bytes([9]) + question[1:], 99) + answer[:4], answer[4:]]
        if start == 3:
            return [struct.pack(">HHH", number, 0, 3) + bytes([question[0], question[1] | 0x80, 11])]
        if start == 4:
            return [struct.pack(">HHH", number, 0, 7) + question[:2] + b"\x04\0\0\0\0"]
        return [answer]

    async with listening(Gateway(script).serve) as number:
        line = SerialLine(f"modbus-tcp://127.0.0.1:{number}", FORMAT)
        with pytest.raises(NoAnswer):
            await Mbap(line.place(), within=0.2).read(Read(7, "holding", 1, 1))
        device = Mbap(line.place(), within=PATIENT)
        assert await device.read(Read(7, "holding", 2, 1)) == b"\0\x02"
        with pytest.raises(Refused, match="got no answer from it"):
            await device.read(Read(7, "holding", 3, 1))
        with pytest.raises(Garbled, match="4 bytes of data, expected 2"):
            await device.read(Read(7, "holding", 4, 1))
        asked = [
            Mbap(line.place(), within=PATIENT).read(Read(unit, "holding", 100 + unit, 1))
            for unit in range(1, 20)
        ]
        assert await asyncio.gather(*asked) == [bytes([0, 100 + unit]) for unit in range(1, 20)]
        await line.close()


class StalledNetwork:
    """A serial server behind a network that brings nothing for a while, and then all, in order."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[int] = []
        self._since: float | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            question = read_request(await reader.readexactly(8))
            self.asked.append(question.start)
            body = bytes([question.unit, 3, 2, *question.start.to_bytes(2, "big")])
            self._since = self._since or loop.time()
            loop.call_at(self._since + self.seconds, writer.write, body + crc16(body).to_bytes(2, "little"))


async def test_what_a_network_kept_for_long_is_not_taken_for_another_register(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A device at the wire is never so late."""
    monkeypatch.setattr("edge_agent.bus.line.LATENESS", 0.2)
    monkeypatch.setattr("edge_agent.bus.line.LATENESS_OF_NETWORK", 1.5)
    network = StalledNetwork(0.8)
    async with listening(network.serve) as number:
        line = SerialLine(f"socket://127.0.0.1:{number}", SerialFormat(115_200))
        place = line.place()
        with pytest.raises(NoAnswer):
            await Rtu(place, within=0.3).read(Read(7, "holding", 1, 1))
        own = asyncio.create_task(Rtu(place, within=PATIENT).read(Read(7, "holding", 2, 1)))
        with suppress(NoAnswer):
            await Rtu(line.place(), within=0.1).read(Read(8, "holding", 3, 1))
        assert await own == b"\0\x02"
        await line.close()
    assert network.asked == [1, 3, 2], "its neighbour does not wait"
