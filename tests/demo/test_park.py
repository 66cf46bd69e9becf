"""The park against a master that is not ours: mbpoll, over the ttys that the agent uses."""

import asyncio
import os
import re
import shutil
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.demo import park, slave, world

_HEAD, _TAIL = bytes.fromhex("F4F3F2F1"), bytes.fromhex("F8F7F6F5")


@pytest.fixture
async def ttys(tmp_path: Path) -> AsyncIterator[Path]:
    async with park.running(tmp_path):
        yield tmp_path


async def _mbpoll(directory: Path, *arguments: str, within: str = "10") -> str:
    """Ask once, with zero-based register addresses; return all that it says."""
    program = shutil.which("mbpoll")
    if program is None:
        pytest.fail("mbpoll is missing; run make test as root, or apt-get install mbpoll")
    asking = await asyncio.create_subprocess_exec(
        *(program, "-m", "rtu", "-b", "9600", "-P", "none", "-0", "-1", "-o", within, "-B"),
        *(*arguments, str(park.cabinet_tty(directory))),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await asking.communicate()
    return said.decode()


def _values(said: str) -> dict[int, float]:
    return {int(at): float(value) for at, value in re.findall(r"^\[(\d+)\]:\s+(\S+)", said, re.MULTILINE)}


async def test_mbpoll_reads_the_meter(ttys: Path) -> None:
    # eight floats of two registers: voltage at 0, power at 12
    said = await _mbpoll(ttys, "-a", str(park.METER), "-t", "3:float", "-r", "0", "-c", "8")
    values = _values(said)
    assert 220 < values[0] < 240, said
    assert 150 < values[12] < 2000, said
    assert values[2] == 0, "a hole of the map"


async def test_mbpoll_reads_the_climate_sensor(ttys: Path) -> None:
    said = await _mbpoll(ttys, "-a", str(park.CLIMATE), "-t", "3", "-r", "1", "-c", "2")
    values = _values(said)
    assert 200 < values[1] < 280, said  # tenths of a degree
    assert 400 < values[2] < 650, said  # tenths of a percent


async def test_an_absent_unit_says_nothing(ttys: Path) -> None:
    assert "timed out" in await _mbpoll(ttys, "-a", "9", "-t", "3", "-r", "0", "-c", "1", within="1")


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("-t", "3", "-r", "0", "-c", "1"), "Illegal data address"),
        (("-t", "4", "-r", "1", "-c", "1"), "Illegal data address"),
        (("-t", "1", "-r", "1", "-c", "1"), "Illegal data address|Illegal function"),
    ],
)
async def test_a_unit_refuses_what_it_does_not_have(
    ttys: Path, arguments: tuple[str, ...], refusal: str
) -> None:
    assert re.search(refusal, await _mbpoll(ttys, "-a", str(park.CLIMATE), *arguments))


async def test_the_radar_reports_whole_frames(ttys: Path) -> None:
    descriptor = os.open(park.radar_tty(ttys), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    loop, heard, enough = asyncio.get_running_loop(), bytearray(), asyncio.Event()

    def hear() -> None:
        heard.extend(os.read(descriptor, 4096))
        if len(heard) >= 5 * 23:
            enough.set()

    try:
        tty.setraw(descriptor)
        loop.add_reader(descriptor, hear)
        async with asyncio.timeout(60):
            await enough.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    start = heard.index(_HEAD)
    for at in range(start, len(heard) - 22, 23):
        frame = heard[at : at + 23]
        assert frame[:4] == _HEAD
        assert frame[4:8] == bytes.fromhex("0D0002AA")  # 13 bytes, basic, head of the report
        assert frame[8] in range(4)
        assert frame[17:19] == bytes.fromhex("5500")
        assert frame[19:] == _TAIL


@pytest.mark.parametrize(
    ("request_hex", "answer_hex"),
    [
        ("010400000002", "01040443664000"),  # 230.25 V; the zeros are the second half of 230.25
        ("010100000001", "018101"),  # coils: illegal function
        ("010600000001", "018601"),  # a write: illegal function
        ("010400000000", "018403"),  # nothing asked for
        ("010400000051", "018403"),  # more than it gives at once
        ("010400100001", "018402"),  # past its map
        ("010300000001", "018302"),  # a table that it does not have
    ],
)
def test_a_unit_answers_by_the_book(request_hex: str, answer_hex: str) -> None:
    text = """max_registers = 80
    channels = [{ name = "voltage", table = "input", at = 0, type = "f32" }]"""
    unit = slave.unit(1, text, lambda: {"voltage": 230.25})
    answer = slave.answer(unit, bytes.fromhex(request_hex))
    assert answer == bytes.fromhex(answer_hex)


def test_registers_are_written_as_the_profile_says() -> None:
    text = """channels = [
      { name = "cold", table = "input", at = 1, type = "i16", scale = 0.1 },
      { name = "swapped", table = "input", at = 2, type = "u32", words = "little" },
    ]"""
    unit = slave.unit(1, text, lambda: {"cold": -20.5, "swapped": 0x12345678})
    assert slave.registers(unit, "input") == {1: b"\xff\x33", 2: b"\x56\x78", 3: b"\x12\x34"}


def test_the_checksum_is_the_one_of_the_book() -> None:
    assert slave.crc16(bytes.fromhex("010400010001")) == bytes.fromhex("600A")


def test_energy_is_the_integral_of_power() -> None:
    step, start = 0.5, 86_400.0
    summed = sum(world.power(start + n * step + step / 2) * step for n in range(2000)) / 3.6e6
    assert world.energy(start + 1000) - world.energy(start) == pytest.approx(summed, rel=1e-4)
