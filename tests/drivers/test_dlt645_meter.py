"""DL/T 645 exchanges that no vector can tell: with meters that follow a script, on a paced wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from drivers.dlt645 import Meter, driver
from drivers.dlt645.frame import Command
from edge_agent.bus.line import SerialLine
from edge_agent.bus.serial import SerialFormat
from edge_agent.demo.tty_end import TtyEnd
from edge_agent.demo.wire import Wire
from edge_agent.driver import Garbled, NoAnswer, Refused, find_profiles

# 68 and 16 stand in the address, and 68 in the data (35 with 33 added): only the length tells the end
ADDRESS, OTHER = "681668161635", "000000000042"
NO_SUCH_DATA = -0x02
Items = dict[str, str | int]
Said = list[tuple[float, bytes]]
ENERGY: Items = {"00010000": "35 06 12 00", "00020000": "07 03 00 00"}
ENERGY_MEANS = {"energy_import": 1206.35, "energy_export": 3.07}


def frame(control: int, data: bytes, address: str = ADDRESS) -> bytes:
    body = b"\x68" + bytes.fromhex(address)[::-1] + b"\x68" + bytes([control, len(data)])
    body += bytes((byte + 0x33) % 256 for byte in data)
    return body + bytes([sum(body) % 256]) + b"\x16"


class Question:
    """A request as a meter takes it apart."""

    def __init__(self, heard: bytes) -> None:
        self.preamble = len(heard) - len(heard.lstrip(b"\xfe"))
        heard = heard[self.preamble :]
        self.address, self.control = heard[1:7][::-1].hex().upper(), heard[8]
        data = bytes((byte - 0x33) % 256 for byte in heard[10:-2])
        assert heard == frame(self.control, data, self.address)
        size = 4 if self.control & 0x10 else 2
        self.wire, self.rest = data[:size], data[size:]
        self.item = self.wire[::-1].hex().upper()

    def answer(self, value: bytes, *, more: bool = False, address: str = ADDRESS) -> bytes:
        return frame(self.control | 0x80 | 0x20 * more, self.wire + value + self.rest, address)

    def refusal(self, word: int) -> bytes:
        return frame(self.control | 0xC0, bytes([word]))


def answering(items: Items) -> Callable[[Question], Said]:
    """Script a meter that has these items: values in hex, low byte first, or error words below zero."""

    def answers(question: Question) -> Said:
        value = items.get(question.item, NO_SUCH_DATA)
        if isinstance(value, int):
            return [(0, question.refusal(-value))]
        return [(0, question.answer(bytes.fromhex(value)))]

    return answers


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


def opened(profile: str = "dlt645_2007_energy", **facts: Any) -> Meter:
    made = driver.open(driver.settings.model_validate({"profile": profile, "address": ADDRESS} | facts))
    assert isinstance(made, Meter)
    return made


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


async def test_what_was_refused_is_asked_again_after_100_polls() -> None:
    items: Items = {"00010000": "35 06 12 00"}
    line = Table(items)
    device = opened()
    for _ in range(101):
        assert dict(await device.poll(line)) == {"energy_import": 1206.35, "energy_export": None}
    items |= ENERGY
    assert dict(await device.poll(line)) == ENERGY_MEANS
    assert [question.item for question in line.asked].count("00020000") == 2


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


class Table:
    """A line with a meter that answers from a script at once. It remembers what it was asked."""

    def __init__(self, items: Items) -> None:
        self.asked: list[Question] = []
        self.script = answering(items)

    async def exchange(self, request: bytes, *_: object, **__: object) -> bytes:
        self.asked.append(Question(request))
        said = self.script(self.asked[-1])
        if not said:
            raise NoAnswer
        return said[0][1]


async def test_an_answer_that_never_ends_is_given_up() -> None:
    line = Table({})
    line.script = lambda question: [(0, question.answer(bytes(4), more=True))]
    with pytest.raises(Garbled, match="00010000 that does not end after 16 frames"):
        await opened().poll(line)
    assert len(line.asked) == 16


async def test_error_words_are_named_and_all_refused_is_a_fault() -> None:
    for word, reason in [
        (0x01, "another error"),
        (0x06, "it has no such data, wrong password, or not authorised"),
        (0x80, "no reason known"),
    ]:
        device = opened()
        for _ in range(2):
            with pytest.raises(Refused, match=rf"meter {ADDRESS} refused to read 00010000: {reason} \(error"):
                await device.poll(Table({"00010000": -word}))


async def test_a_meter_of_the_other_edition_says_so() -> None:
    line = Table({})
    line.script = lambda _: [(0, frame(0xC1, b"\x02"))]
    with pytest.raises(Refused, match="speaks DL/T 645-1997; choose a profile of that edition"):
        await opened().poll(line)
    line.script = lambda _: [(0, frame(0xD1, b"\x02"))]
    with pytest.raises(Refused, match="speaks DL/T 645-2007"):
        await opened("dlt645_1997_single").poll(line)


def test_there_is_no_command_but_to_read() -> None:
    assert {command.value for command in Command} == {0x01, 0x02, 0x11, 0x12, 0x13}


@pytest.mark.parametrize("profile", find_profiles("dlt645"))
async def test_nothing_but_reading_commands_is_sent(profile: str) -> None:
    reading = {0x01, 0x02} if "1997" in profile else {0x11, 0x12}
    line = Table({})

    def by_turns(question: Question) -> Said:
        turn = len(line.asked)
        return [(0, question.answer(bytes(4), more=turn % 3 == 0) if turn % 2 else question.refusal(2))]

    line.script = by_turns
    for _ in range(5):
        with suppress(Garbled, Refused):
            await opened(profile).poll(line)
    assert {question.control for question in line.asked} == reading


async def test_a_search_finds_a_meter_of_either_edition() -> None:
    assert driver.probe is not None
    assert driver.probe.search is not None
    line = Table({})

    line.script = lambda _: [(0, frame(0x93, bytes.fromhex(ADDRESS)[::-1]))]
    found = list(await driver.probe.search(line))
    assert {setting.address for setting in found} == {ADDRESS}
    assert {setting.profile for setting in found} == {
        name for name in find_profiles("dlt645") if "2007" in name
    }

    line.script = lambda question: [(0, question.answer(bytes(4)))] if question.control == 1 else []
    found = list(await driver.probe.search(line))
    assert {setting.address for setting in found} == {ADDRESS}
    assert {setting.profile for setting in found} == {
        name for name in find_profiles("dlt645") if "1997" in name
    }

    line.script = lambda _: []
    assert list(await driver.probe.search(line)) == []
    assert {question.control for question in line.asked} == {0x13, 0x01}
    assert {question.address for question in line.asked} == {"A" * 12}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("181226034194", "181226034194"),
        ("161", "000000000161"),
        (161, "000000000161"),
        ("aaaaaaaa4194", "AAAAAAAA4194"),
    ],
)
def test_an_address_is_written_with_all_its_digits(written: object, meant: str) -> None:
    settings = {"profile": "dlt645_2007_energy", "address": written}
    assert driver.settings.model_validate(settings, strict=True).address == meant


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "write its 12 digits"),
        ("1812260341945", "write its 12 digits"),
        ("18122603419X", "write its 12 digits"),
        ("A18122603419", "AA for each leading pair"),
        ("AA4194", "AA for each leading pair"),
        ("1812AA034194", "AA for each leading pair"),
        (-1, "write its 12 digits"),
        (True, "valid string"),
        ("999999999999", "the broadcast address"),
    ],
)
def test_what_is_no_address_is_refused(written: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        driver.settings.model_validate({"profile": "dlt645_2007_energy", "address": written})
