"""A scripted meter of IEC 62056-21 mode C, on a wire that minds the speed: 300 baud, then what it offers."""

import asyncio
import os
import termios
import tomllib
from collections.abc import AsyncIterator
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any, cast

import pytest

from edge_agent import registry
from edge_agent.bus.line import SerialLine
from edge_agent.bus.serial import SerialFormat
from edge_agent.demo.wire import Wire
from edge_agent.driver import Answerer, Garbled, Line, NoAnswer, Refused

RECORD = registry.load("d0_mode_c")
REACTION = 0.2  # seconds; 6.3.14: 200 to 1500 ms
GAP = 0.25
SPEEDS = {"0": termios.B300, "3": termios.B2400, "5": termios.B9600, "6": termios.B19200}
LINES = b"".join(
    b"1-1:1.8.0*%02d(%07d.5*kWh)\r\n" % (month, month) for month in range(40)
)  # more than 1024 bytes
BLOCK = b"1-1:1.8.0(0004567.89*kWh)\r\n1-1:16.7.0(-1.250*kW)\r\n" + LINES + b"!\r\n\x03"


def sealed(inside: bytes) -> bytes:
    return b"\x02" + inside + bytes([reduce(xor, inside)])


class Meter:
    """Answers what it is asked at the speed it is in, with an echo of it all, as many heads make."""

    def __init__(self, port: Path, offers: str) -> None:
        self.block, self.offers, self.address = sealed(BLOCK), offers, b""
        self.asked: list[bytes] = []
        self._heard = b""
        self._loop = asyncio.get_running_loop()
        self._descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._set_speed("0")
        self._loop.add_reader(self._descriptor, self._hear)

    def _set_speed(self, code: str) -> None:
        attributes = termios.tcgetattr(self._descriptor)
        attributes[4] = attributes[5] = SPEEDS[code]
        termios.tcsetattr(self._descriptor, termios.TCSANOW, attributes)

    def _hear(self) -> None:
        self._heard += os.read(self._descriptor, 99)
        if not self._heard.endswith(b"\r\n"):
            return
        asked, self._heard = self._heard, b""
        self.asked.append(asked)
        if asked == b"/?" + self.address + b"!\r\n":
            self._set_speed("0")
            self._loop.call_later(REACTION, self._say, b"\x7f\x7f/LGZ" + self.offers.encode() + b"ZMD310\r\n")
        elif asked.startswith(b"\x060"):
            self._loop.call_later(REACTION, self._read_out, chr(asked[2]))

    def _read_out(self, code: str) -> None:
        self._set_speed(code)
        self._say(self.block)

    def _say(self, word: bytes) -> None:
        os.write(self._descriptor, word)

    def hang_up(self) -> None:
        """Forget the talk, as a meter does some seconds after its last word."""
        self._set_speed("0")

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = SerialLine(str(path / "near"), SerialFormat(300), gap=GAP)
        self.meter: Meter

    def meet(self, offers: str) -> Meter:
        self.meter = Meter(self.path / "far", offers)
        return self.meter

    async def poll(self, **settings: Any) -> dict[str, object]:
        device = cast("Answerer[Line, bytes]", RECORD.open(RECORD.settings.model_validate(settings)))
        return dict(await device.poll(self.line))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    with Wire(tmp_path / "near", tmp_path / "far", None):
        made = Bench(tmp_path)
        yield made
        await made.line.close()
        made.meter.close()


VALUES = {"energy_import": 4567.89, "power": -1250.0}


async def test_the_meter_is_read_at_the_speed_it_offers(bench: Bench) -> None:
    meter = bench.meet("5")
    assert await bench.poll() == VALUES
    meter.hang_up()
    meter.offers = "6"
    assert await bench.poll() == VALUES
    assert meter.asked == [b"/?!\r\n", b"\x06050\r\n", b"/?!\r\n", b"\x06060\r\n"]


async def test_a_head_that_cannot_follow_stays_slow(bench: Bench) -> None:
    meter = bench.meet("5")
    meter.block, meter.address = sealed(b"1.8.0(1.5*kWh)\r\n!\r\n\x03"), b"007"
    assert await bench.poll(stay_slow=True, address="007") == {"energy_import": 1.5}
    assert meter.asked == [b"/?007!\r\n", b"\x06000\r\n"]


async def test_a_broken_block_harms_no_later_one(bench: Bench) -> None:
    meter = bench.meet("5")
    good = sealed(BLOCK.replace(LINES, b""))
    meter.block = good.replace(b"4567", b"4566")
    with pytest.raises(Garbled):
        await bench.poll()
    meter.block = good
    meter.hang_up()
    assert await bench.poll() == VALUES


async def test_a_meter_that_is_not_there_or_of_another_mode(bench: Bench) -> None:
    meter = bench.meet("B")
    with pytest.raises(NoAnswer):
        await bench.poll(address="12345678")
    with pytest.raises(Refused, match="mode A or B"):
        await bench.poll()
    assert len(meter.asked) == 2


def test_the_sample_gives_the_meter_its_time() -> None:
    bus = tomllib.loads(registry.resource(RECORD, "sample.toml"))["bus"]
    assert [settings["gap"] for settings in bus.values()] == [f"{GAP * 1000:g}ms"]
