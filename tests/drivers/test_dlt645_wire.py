"""DL/T 645 exchanges with a scripted meter, on a wire that takes its time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.dlt645 import Meter
from edge_agent.bus.line import SerialLine
from edge_agent.bus.serial import SerialFormat
from edge_agent.demo.tty_end import TtyEnd
from edge_agent.demo.wire import Wire
from edge_agent.driver import Garbled, NoAnswer
from tests.drivers.dlt645_meter import (
    ENERGY,
    ENERGY_MEANS,
    OTHER,
    Items,
    Question,
    Said,
    answering,
    frame,
    opened,
)


class Bench:
    """A scripted meter at the far end of a wire, and the line to it."""

    def __init__(self, line: SerialLine) -> None:
        self.line = line
        self.script: Callable[[Question], Said] = answering(ENERGY)
        self.asked: list[Question] = []
        self.far: TtyEnd
        self._heard = b""

    def hear(self, arrived: bytes) -> None:
        self._heard += arrived
        start = self._heard.find(b"\x68")
        if start < 0 or len(self._heard) < start + 10:
            return
        end = start + 10 + self._heard[start + 9] + 2
        if len(self._heard) >= end:
            question, self._heard = Question(self._heard[:end]), self._heard[end:]
            self.asked.append(question)
            for later, word in self.script(question):
                asyncio.get_running_loop().call_later(later, self.far.send, word)

    async def poll(self, device: Meter) -> dict[str, Any]:
        samples = await device.poll(self.line)
        assert [sample.channel for sample in samples] == [channel.name for channel in device.channels]
        return dict(samples)


@asynccontextmanager
async def bench_at(folder: Path, baud: int) -> AsyncIterator[Bench]:
    with Wire(folder / "near", folder / "far", baud) as wire:
        made = Bench(SerialLine(str(wire.near), SerialFormat(baud), lateness=0.9))
        with TtyEnd(wire.far, made.hear) as made.far:
            yield made
            await made.line.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_at(tmp_path, 19_200) as made:
        yield made


@pytest.mark.parametrize("count", range(5))
async def test_up_to_four_leading_bytes_each_way(bench: Bench, count: int) -> None:
    bench.script = lambda question: [(0, b"\xfe" * count + word) for _, word in answering(ENERGY)(question)]
    assert await bench.poll(opened(preamble=count)) == ENERGY_MEANS
    assert [question.preamble for question in bench.asked] == [count, count]


@pytest.mark.parametrize("address", ["A" * 12, "AAAAAAAA1635", "aa1668161635"])
async def test_digits_that_are_not_known_are_told_by_the_answer(bench: Bench, address: str) -> None:
    assert await bench.poll(opened(address=address)) == ENERGY_MEANS
    assert {question.address for question in bench.asked} == {address.upper()}


async def test_an_answer_of_another_meter_is_passed_over(bench: Bench) -> None:
    bench.script = lambda question: [
        (0, question.answer(bytes(4), address=OTHER)),
        (0.01, answering(ENERGY)(question)[0][1]),
    ]
    assert await bench.poll(opened()) == ENERGY_MEANS
    bench.script = lambda question: [(0, question.answer(bytes(4), address="681668161636"))]
    with pytest.raises(Garbled, match="without an answer"):
        await bench.poll(opened())


async def test_a_late_answer_is_not_taken_for_another_item(bench: Bench) -> None:
    late = frame(0x91, bytes.fromhex("00000100 99999999"))
    bench.script = lambda question: [
        *([(0, late)] if question.item == "00020000" else []),
        (0.01, answering(ENERGY)(question)[0][1]),
    ]
    assert await bench.poll(opened()) == ENERGY_MEANS

    bench.script = lambda question: [(0.85, answering(ENERGY)(question)[0][1])]
    with pytest.raises(NoAnswer):
        await bench.poll(opened())
    bench.script = answering(ENERGY | {"00010000": "36 06 12 00"})
    assert await bench.poll(opened()) == ENERGY_MEANS | {"energy_import": 1206.36}


async def test_half_a_second_between_two_bytes(bench: Bench) -> None:
    def slowly(question: Question) -> Said:
        word = answering(ENERGY)(question)[0][1]
        return [(0, word[:1]), (0.4, word[1:9]), (0.8, word[9:-1]), (1.2, word[-1:])]

    bench.script = slowly
    assert await bench.poll(opened()) == ENERGY_MEANS


BLOCK = "35 06 12 00 01 00 00 00 02 00 00 00"
SINGLE: Items = {
    "00000000": "07 03 00 80",
    "00020000": "00 00 00 00",
    "02010100": "19 23",
    "02020100": "FF FF FF",
    "02030000": "92 09 80",
    "02060000": "50 89",
    "02800002": "01 50",
}
SINGLE_MEANS = {
    "energy_total": -3.07,
    "energy_import": 1206.35,
    "energy_import_t1": 0.01,
    "energy_import_t2": 0.02,
    "energy_export": 0.0,
    "voltage_a": 231.9,
    "current_a": None,
    "current_neutral": None,
    "power": -99.2,
    "power_factor": -0.95,
    "frequency": 50.01,
    "temperature": None,
}


async def test_a_block_that_ends_early_is_completed_item_by_item(bench: Bench) -> None:
    bench.script = answering(SINGLE | {"0001FF00": BLOCK, "00010300": "03 00 00 00"})
    device = opened("dlt645_2007_single")
    told = SINGLE_MEANS | {"energy_import_t3": 0.03, "energy_import_t4": None}
    assert await bench.poll(device) == told
    refused = {"00010400", "02800001", "02800007"}
    first = [question.item for question in bench.asked]
    assert len(first) == 12
    assert refused < set(first)

    assert await bench.poll(device) == told
    assert {question.item for question in bench.asked[12:]} == set(first) - refused


async def test_an_answer_in_several_frames(bench: Bench) -> None:
    whole = bytes.fromhex(BLOCK + "03 00 00 00 04 00 00 00")

    def in_parts(question: Question) -> Said:
        if question.item != "0001FF00":
            return answering(SINGLE)(question)
        part = question.rest[0] if question.rest else 0
        return [(0, question.answer(whole[7 * part : 7 * part + 7], more=part < 2))]

    bench.script = in_parts
    told = await bench.poll(opened("dlt645_2007_single"))
    assert told == SINGLE_MEANS | {"energy_import_t3": 0.03, "energy_import_t4": 0.04}
    assert [(question.control, question.rest) for question in bench.asked[:4]] == [
        (0x11, b""),
        (0x12, b"\x01"),
        (0x12, b"\x02"),
        (0x11, b""),
    ]


async def test_a_part_that_was_not_asked_for_is_passed_over(bench: Bench) -> None:
    def repeats(question: Question) -> Said:
        question.rest = question.rest and b"\x01"
        return [(0, question.answer(bytes(4), more=True))]

    bench.script = repeats
    with pytest.raises(Garbled, match="without an answer"):
        await bench.poll(opened("dlt645_2007_single"))
    assert len(bench.asked) == 3
