"""Our Modbus TCP against servers that others wrote, and mbpoll as a second opinion on what these hold."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.bus.line import SerialLine
from edge_agent.bus.mbap import Mbap
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.driver import Read, Refused, Table
from tests.peers.npm import HERE, libmodbus_slave, needs

UNIT = 7
TABLES: dict[Table, tuple[int, str]] = {"input": (1000, "3"), "holding": (2000, "4")}


@pytest.fixture(params=["libmodbus", "pymodbus"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    if request.param == "libmodbus":
        return [str(libmodbus_slave(tmp_path)), "tcp", str(UNIT)]
    return [sys.executable, str(HERE / "pymodbus_server.py")]


@asynccontextmanager
async def serving(command: list[str]) -> AsyncIterator[int]:
    """Run a server; give its port."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            said = (await process.stdout.readline()).split()
        assert said[0] == b"up"
        yield int(said[1])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def mbpoll(number: int, *options: str) -> list[int]:
    """Read once, and return the registers."""
    process = await asyncio.create_subprocess_exec(
        *(needs("mbpoll", "mbpoll"), "-m", "tcp", "-p", str(number), "-a", str(UNIT), "-0", "-1", "-q"),
        *(*options, "127.0.0.1"),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return [int(value) for value in re.findall(rb"^\[\d+\]:\s+(\d+)", said, re.MULTILINE)]


async def test_registers_as_another_master_reads_them(command: list[str]) -> None:
    heard: dict[Table, list[int]] = {}
    async with serving(command) as number:
        line = SerialLine(f"modbus-tcp://127.0.0.1:{number}", SerialFormat(9600), lateness=0)
        device = Mbap(line.place(), within=20)
        for table, (base, _) in TABLES.items():
            for start, count in ((0, 1), (1, 2), (0, 100)):
                said = await device.read(Read(UNIT, table, start, count))
                heard[table] = [int.from_bytes(said[at : at + 2], "big") for at in range(0, len(said), 2)]
                assert heard[table] == [base + at for at in range(start, start + count)]
        with pytest.raises(Refused, match="no such register"):
            await device.read(Read(UNIT, "input", 100, 1))
        asked = [Mbap(line.place(), within=20).read(Read(UNIT, "input", at, 1)) for at in range(50)]
        assert await asyncio.gather(*asked) == [(1000 + at).to_bytes(2, "big") for at in range(50)]
        assert (line.skipped, line.exchanges) == (0, 57)
        await line.close()
    async with serving(command) as number:  # again: libmodbus takes one connection in its life
        assert await mbpoll(number, "-t", TABLES["input"][1], "-r", "0", "-c", "100") == heard["input"]
    async with serving(command) as number:
        assert await mbpoll(number, "-t", TABLES["holding"][1], "-r", "0", "-c", "100") == heard["holding"]


async def test_a_server_that_is_gone_is_found_and_tried_again(command: list[str]) -> None:
    async with serving(command) as number:
        line = SerialLine(f"modbus-tcp://127.0.0.1:{number}", SerialFormat(9600), lateness=0)
        device = Mbap(line.place(), within=20)
        await device.read(Read(UNIT, "input", 1, 1))
    for _ in range(2):
        with pytest.raises(BusError, match=r"is gone|cannot be reached"):
            await device.read(Read(UNIT, "input", 1, 1))
        await asyncio.sleep(line.retry_in)
    await line.close()
