"""Ports that a network leads to, and what only a tty of this machine has: locks and direction."""

import asyncio
import fcntl
import os
import pty
import socket
import struct
import sys
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.bus import rfc2217, tcp
from edge_agent.bus.address import Address
from edge_agent.bus.line import SerialLine, SerialStream
from edge_agent.bus.mbap import Mbap
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import BusError, Direction, SerialFormat
from edge_agent.bus.stream import open_stream
from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.driver import Frame, Garbled, NoAnswer, Read, Refused
from edge_agent.profile import profile_text

FORMAT = SerialFormat(9600)
PEERS = Path(__file__).parents[1] / "peers"
QUESTION = Read(2, "input", 1, 2)  # temperature and humidity of an XY-MD02
CLIMATE = {"temperature": 21.5, "humidity": 40.0}
ANSWER = bytes.fromhex("00D7 0190")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[Path]:
    """A tty at whose other end a climate sensor answers."""
    climate = unit(2, profile_text("modbus", "xy_md02"), lambda: CLIMATE)
    with Wire(tmp_path / "near", tmp_path / "far", 9600), Slaves(tmp_path / "far", [climate]):
        yield tmp_path / "near"


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run a server until it says "up" and its port."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            said = (await process.stdout.readline()).split()
        assert said[0] == b"up"
        yield process, int(said[1])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[int]:
    """Listen on loopback; give the port."""
    serving: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


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
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    command = ("socat", f"TCP-LISTEN:{number},bind=127.0.0.1,reuseaddr,fork", f"{far},rawer")
    process = await asyncio.create_subprocess_exec(*command)
    line = SerialLine(f"socket://127.0.0.1:{number}", FORMAT)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    heard = await Rtu(line).read(QUESTION)
                    break
                except BusError:  # socat does not say when it listens
                    await asyncio.sleep(line.retry_in)
        assert heard == ANSWER
        assert [await Rtu(line).read(QUESTION) for _ in range(5)] == [ANSWER] * 5
        with pytest.raises(Refused, match="rfc2217:// can change it"):
            await Rtu(line, speed=2400).read(QUESTION)
    finally:
        await line.close()
        process.kill()
        await process.communicate()


async def test_a_server_that_can_be_told_speed_and_format(far: Path) -> None:
    async with program(sys.executable, str(PEERS / "rfc2217_server.py"), str(far)) as (process, number):
        assert process.stdout is not None
        for _ in range(3):  # one after the other: nothing is left behind
            line = SerialLine(f"rfc2217://127.0.0.1:{number}", FORMAT)
            assert [await Rtu(line).read(QUESTION) for _ in range(5)] == [ANSWER] * 5
            await line.close()
            async with asyncio.timeout(20):
                assert await process.stdout.readline() == b"ended at 9600\n"
        line = SerialLine(f"rfc2217://127.0.0.1:{number}", FORMAT)
        assert await Rtu(line, speed=2400).read(QUESTION) == ANSWER
        await line.close()
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"ended at 2400\n"


async def test_all_bytes_go_both_ways_through_telnet() -> None:
    """The byte that begins telnet's commands is data, too."""
    every = bytes(range(256)) * 3 + b"\xff" * 5
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    async with program(sys.executable, str(PEERS / "rfc2217_server.py"), os.ttyname(theirs)) as (_, number):
        stream = await open_stream(Address.parse(f"rfc2217://127.0.0.1:{number}"), FORMAT)
        await stream.write(every)
        heard = b""
        async with asyncio.timeout(20):
            while len(heard) < len(every):
                try:
                    heard += os.read(ours, 4096)
                except BlockingIOError:
                    await asyncio.sleep(0.01)
        assert heard == every
        os.write(ours, every)
        heard = b""
        async with asyncio.timeout(20):
            while len(heard) < len(every):
                heard += await stream.read()
        assert heard == every
        stream.close()
    os.close(ours)
    os.close(theirs)


async def telnet(port: str, serve: Any, before: Callable[[], None] = lambda: None) -> None:
    async with listening(serve) as number:
        before()
        (await open_stream(Address.parse(f"{port}://127.0.0.1:{number}"), FORMAT)).close()


async def test_servers_that_do_not_do_as_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\xfe\x2c")
        await asyncio.sleep(20)

    async def takes_another_speed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\xfd\x2c")
        await reader.readuntil(b"\xff\xfa\x2c\x01")
        writer.write(b"\xff\xfa\x2c\x65\x00\x00\x4b\x00\xff\xf0")
        await asyncio.sleep(20)

    async def says_nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(20)

    async def closes(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        return

    async def talks_nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\xfa" + bytes(1000))
        await asyncio.sleep(20)

    monkeypatch.setattr(rfc2217, "AGREE_LIMIT", 0.5)
    (await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 1))  # the executor's own descriptors
    before = descriptors()
    for server, said in [
        (refuses, "does not speak RFC 2217; use socket://"),
        (takes_another_speed, "does not take the speed of this bus"),
        (says_nothing, "says nothing about speed and format within"),
        (closes, "closed the connection|reset"),
        (talks_nonsense, "does not speak telnet"),
    ]:
        with pytest.raises(BusError, match=rf"rfc2217://127.0.0.1:\d+ cannot be used \(it .*({said})|reset"):
            await telnet("rfc2217", server)
    await until(lambda: descriptors() <= before)


async def test_two_who_disagree_about_an_option_do_not_talk_for_ever() -> None:
    said = bytearray()

    async def insists(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(50):
            writer.write(b"\xff\xfb\x01\xff\xfd\x01")  # will echo, do echo
        while piece := await reader.read(1000):
            said.extend(piece)

    async with listening(insists) as number:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await open_stream(Address.parse(f"rfc2217://127.0.0.1:{number}"), FORMAT)
    assert said.count(b"\xff\xfe\x01") == said.count(b"\xff\xfc\x01") == 1


async def test_cancelled_while_a_server_thinks_leaks_nothing() -> None:
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 1)
    before = descriptors()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address.parse(f"rfc2217://127.0.0.1:{listener.getsockname()[1]}")
        opening = asyncio.create_task(open_stream(address, FORMAT))
        await asyncio.sleep(0.1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    assert descriptors() == before


@pytest.mark.parametrize("scheme", ["socket", "rfc2217", "modbus-tcp"])
async def test_why_there_is_no_connection(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
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
        line = SerialLine(f"modbus-tcp://127.0.0.1:{number}", FORMAT, lateness=0)
        device = Mbap(line.place(), within=0.2)
        with pytest.raises(NoAnswer):
            await device.read(Read(7, "holding", 1, 1))
        assert await device.read(Read(7, "holding", 2, 1)) == b"\0\x02"
        with pytest.raises(Refused, match="got no answer from it"):
            await device.read(Read(7, "holding", 3, 1))
        with pytest.raises(Garbled, match="4 bytes of data, expected 2"):
            await device.read(Read(7, "holding", 4, 1))
        asked = [Mbap(line.place()).read(Read(unit, "holding", 100 + unit, 1)) for unit in range(1, 20)]
        assert await asyncio.gather(*asked) == [bytes([0, 100 + unit]) for unit in range(1, 20)]
        await line.close()


async def test_a_port_that_is_locked_keeps_others_out_and_says_who() -> None:
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    stream = await open_stream(Address.parse(name), FORMAT)
    exclusive = struct.unpack("i", fcntl.ioctl(theirs, 0x80045440, bytes(4)))[0]  # TIOCGEXCL
    assert exclusive == 1
    with pytest.raises(BusError, match=rf"in use by .*\(pid {os.getpid()}\); stop that"):
        await open_stream(Address.parse(name), FORMAT)
    stream.close()
    assert struct.unpack("i", fcntl.ioctl(theirs, 0x80045440, bytes(4)))[0] == 0
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("direction", ["rts", "rts-inverted"])
async def test_an_adapter_that_cannot_switch_direction_says_so(direction: Direction) -> None:
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    (await open_stream(Address.parse(name), FORMAT)).close()
    before = descriptors()
    line = SerialLine(name, FORMAT, direction=direction)
    with pytest.raises(BusError, match=rf'{name} cannot switch the direction .* set direction = "auto"'):
        await Rtu(line).read(QUESTION)
    assert descriptors() == before
    await line.close()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(("direction", "expected"), [("rts", 0b011), ("rts-inverted", 0b101)])
async def test_what_an_adapter_is_told_that_can(
    direction: Direction, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flags of linux/serial.h: enabled 1, RTS high while sending 2, after sending 4."""
    ours, theirs = pty.openpty()
    really, asked = fcntl.ioctl, []

    def can(descriptor: int, request: int, *rest: Any) -> Any:
        if request == 0x542F:  # TIOCSRS485
            asked.append(rest[0][0])
            return 0
        return 0 if request == 0x542E else really(descriptor, request, *rest)  # TIOCGRS485

    monkeypatch.setattr(fcntl, "ioctl", can)
    stream = await open_stream(Address.parse(os.ttyname(theirs)), FORMAT, direction)
    stream.close()
    assert asked == [expected]
    os.close(ours)
    os.close(theirs)
