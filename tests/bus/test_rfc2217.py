"""Serial servers that can be told speed and format."""

import asyncio
import os
import pty
import socket
import sys
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.bus import rfc2217
from edge_agent.bus.address import Address
from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import BusError
from edge_agent.bus.stream import open_stream
from tests.bus.network import (
    ANSWER,
    FORMAT,
    PATIENT,
    PEERS,
    QUESTION,
    descriptors,
    listening,
    program,
    until,
)


async def test_a_server_that_can_be_told_speed_and_format(far: Path) -> None:
    async with program(sys.executable, str(PEERS / "rfc2217_server.py"), str(far)) as (process, number):
        assert process.stdout is not None
        for _ in range(3):  # one after the other: nothing is left behind
            line = SerialLine(f"rfc2217://127.0.0.1:{number}", FORMAT)
            assert [await Rtu(line, within=PATIENT).read(QUESTION) for _ in range(5)] == [ANSWER] * 5
            await line.close()
            async with asyncio.timeout(60):
                assert await process.stdout.readline() == b"ended at 9600\n"
        line = SerialLine(f"rfc2217://127.0.0.1:{number}", FORMAT)
        assert await Rtu(line, within=PATIENT, speed=2400).read(QUESTION) == ANSWER
        await line.close()
        async with asyncio.timeout(60):
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
        async with asyncio.timeout(60):
            while len(heard) < len(every):
                try:
                    heard += os.read(ours, 4096)
                except BlockingIOError:
                    await asyncio.sleep(0.01)
        assert heard == every
        os.write(ours, every)
        heard = b""
        async with asyncio.timeout(60):
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
        await asyncio.sleep(60)

    async def takes_another_speed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\xfd\x2c")
        await reader.readuntil(b"\xff\xfa\x2c\x01")
        writer.write(b"\xff\xfa\x2c\x65\x00\x00\x4b\x00\xff\xf0")
        await asyncio.sleep(60)

    async def says_nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def closes(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        return

    async def talks_nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\xfa" + bytes(1000))
        await asyncio.sleep(60)

    monkeypatch.setattr(rfc2217, "AGREE_LIMIT", 2.0)
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
            async with asyncio.timeout(2):
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
    await until(lambda: descriptors() == before)
