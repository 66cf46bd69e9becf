"""Our Modbus master against slaves that others wrote, over a wire that takes its time at 9600 baud."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import SerialFormat
from edge_agent.demo.wire import Wire
from edge_agent.driver import NoAnswer, Read, Refused, Table
from edge_agent.onsite.plan import plan_scan
from edge_agent.onsite.scan import Scan
from tests.peers.npm import HERE, libmodbus_slave, node

UNIT = 7


@pytest.fixture(scope="session")
def libmodbus(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A slave in C, of Debian's libmodbus."""
    return [str(libmodbus_slave(tmp_path_factory.mktemp("peer")))]


@pytest.fixture(scope="session")
def modbus_serial() -> list[str]:
    """A slave in JavaScript, of npm's modbus-serial. Its native parts come ready-made."""
    return [node(), str(HERE / "modbus_serial_slave.js")]


@pytest.fixture(params=["libmodbus", "modbus_serial"])
def command(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = request.getfixturevalue(request.param)
    return found


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            said = await process.stdout.readline()
        assert said == b"up\n", f"{command[0]} says {said.decode()}"
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def line(tmp_path: Path, command: list[str]) -> AsyncIterator[SerialLine]:
    with Wire(tmp_path / "near", tmp_path / "far", 9600) as wire:
        async with running(*command, str(wire.far), str(UNIT)):
            made = SerialLine(str(wire.near), SerialFormat(9600), lateness=0.6)
            yield made
            await made.close()


async def asked(line: SerialLine, question: Read) -> bytes:
    """Ask until it is answered: who knows a request by its pauses hears none in which the machine paused."""
    async with asyncio.timeout(60):
        while True:
            with suppress(NoAnswer):
                return await Rtu(line, within=5.0).read(question)


async def test_all_four_tables(line: SerialLine) -> None:
    words: dict[Table, int] = {"input": 1000, "holding": 2000}
    for table, base in words.items():
        for start, count in ((0, 1), (1, 2), (40, 60), (0, 100)):
            heard = await asked(line, Read(UNIT, table, start, count))
            values = [int.from_bytes(heard[at : at + 2], "big") for at in range(0, len(heard), 2)]
            assert values == [base + at for at in range(start, start + count)]
    bits: dict[Table, int] = {"coil": 3, "discrete": 2}
    for table, every in bits.items():
        heard = await asked(line, Read(UNIT, table, 4, 33))
        found = [heard[at // 8] >> at % 8 & 1 for at in range(33)]
        assert found == [at % every == 0 for at in range(4, 37)]
    assert line.skipped == 0


async def test_a_scan_finds_the_slave_at_its_address(tmp_path: Path, command: list[str]) -> None:
    """libmodbus waits half a second for the answer of another slave, and takes a question for it."""
    with Wire(tmp_path / "near", tmp_path / "far", 9600) as wire:
        async with running(*command, str(wire.far), str(UNIT)):
            plan = plan_scan(["modbus"], [SerialFormat(9600)], range(UNIT - 1, UNIT + 2), 2.0)
            scan = Scan(str(wire.near), plan, fast=False, tell=lambda _: None)
            await scan.run()
    assert [(one.serial, one.who) for one in scan.found] == [("9600 8N1", f"unit {UNIT}")]
    assert scan.notes == []


async def test_an_illegal_address_is_refused_and_an_absent_unit_is_silent(line: SerialLine) -> None:
    with pytest.raises(Refused, match="no such register"):
        await asked(line, Read(UNIT, "input", 100, 1))
    with pytest.raises(NoAnswer):
        await Rtu(line, within=1.5).read(Read(UNIT + 1, "input", 0, 1))
    assert await asked(line, Read(UNIT, "input", 5, 1)) == (1005).to_bytes(2, "big")
