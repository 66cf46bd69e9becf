"""M-Bus meters on a wire at 2400 baud: one tells more than fits into an answer, one only its number."""

import asyncio
import os
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from edge_agent import registry
from edge_agent.bus.line import SerialLine
from edge_agent.bus.serial import SerialFormat
from edge_agent.demo.wire import Wire
from edge_agent.driver import Answerer, Implausible, Line, NoAnswer

RECORD = registry.load("mbus")
SHORT = 5  # bytes of each request
REACTION = 0.02  # seconds; EN 13757-2, 5.7.4: 11 bit times to 330 and 50 ms


class Meters:
    """Answer what was recorded for a request."""

    def __init__(self, port: Path) -> None:
        self.asked: list[bytes] = []
        listed = tomllib.loads(registry.resource(RECORD, "vectors.toml"))["vector"]
        self._recorded = {
            bytes.fromhex(vector["request"]): bytes.fromhex(vector["response"])
            for vector in reversed(listed)  # the first of a request stands
            if "expect" in vector
        }
        number = bytes.fromhex("0803 72 12345678 4C16 02 07 00 00 0000 0C78 12345678")  # of the meter
        framed = bytes([0x68, len(number), len(number), 0x68]) + number + bytes([sum(number) & 0xFF, 0x16])
        self._recorded |= {bytes.fromhex("1040034316"): b"\xe5", bytes.fromhex("107B037E16"): framed}
        self._heard = b""
        self._descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._hear)

    def _hear(self) -> None:
        self._heard += os.read(self._descriptor, 99)
        while len(self._heard) >= SHORT:
            asked, self._heard = self._heard[:SHORT], self._heard[SHORT:]
            self.asked.append(asked)
            if asked in self._recorded:
                self._loop.call_later(REACTION, os.write, self._descriptor, self._recorded[asked])

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[SerialLine]:
    with Wire(tmp_path / "near", tmp_path / "far", 2400):
        made = SerialLine(str(tmp_path / "near"), SerialFormat(2400), gap=0.05)
        yield made
        await made.close()


async def test_all_parts_of_an_answer_are_asked_for(line: SerialLine, tmp_path: Path) -> None:
    meters = Meters(tmp_path / "far")
    room, plant, mute, absent = (
        cast("Answerer[Line, bytes]", RECORD.open(RECORD.settings.model_validate({"address": address})))
        for address in (1, 40, 3, 2)
    )
    for _ in range(2):
        assert dict(await room.poll(line)) == {"humidity": 33.96, "temperature": 24.84, "volume": 123.456}
    with pytest.raises(Implausible, match="no value that is known; name the records"):
        await mute.poll(line)
    with pytest.raises(NoAnswer):
        await absent.poll(line)
    assert dict(await plant.poll(line))["energy_import_t1"] == 2.93
    assert [asked[1:3].hex() for asked in meters.asked] == [
        *["4001", "7b01", "5b01"] * 2,
        *["4003", "7b03"],
        "4002",
        *["4028", "7b28"],
    ]
    meters.close()
