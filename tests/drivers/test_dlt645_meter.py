"""What the DL/T 645 driver asks a scripted meter, and what it makes of the answers."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from drivers.dlt645 import MeterSettings, driver
from drivers.dlt645.frame import Command
from edge_agent.driver import Garbled, Refused, find_profiles
from tests.drivers.dlt645_meter import (
    ADDRESS,
    ENERGY,
    ENERGY_MEANS,
    Items,
    Question,
    Said,
    Table,
    answering,
    frame,
    opened,
)


async def test_what_was_refused_is_asked_again_after_100_polls() -> None:
    items: Items = {"00010000": "35 06 12 00"}
    line = Table(items)
    device = opened()
    for _ in range(101):
        assert dict(await device.poll(line)) == {"energy_import": 1206.35, "energy_export": None}
    items |= ENERGY
    assert dict(await device.poll(line)) == ENERGY_MEANS
    assert [question.item for question in line.asked].count("00020000") == 2


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


def answers_anybody(items: Items, edition: int) -> Callable[[Question], Said]:
    """Script a meter of one edition, the command to read the address included."""

    def answers(question: Question) -> Said:
        if (question.control < 0x11) is not (edition == 1997):
            return []
        if question.control == 0x13:
            return [(0, frame(0x93, bytes.fromhex(ADDRESS)[::-1]))]
        return answering(items)(question)

    return answers


@pytest.mark.parametrize(
    ("items", "edition", "profile"),
    [
        ({"02010200": "00 23"}, 2007, "dlt645_2007_three"),
        ({"02010200": "00 00"}, 2007, "dlt645_2007_single"),
        ({"02010200": "FF FF"}, 2007, "dlt645_2007_single"),
        ({}, 2007, "dlt645_2007_single"),
        ({"9010": "00 00 00 00", "B612": "30 02"}, 1997, "dlt645_1997_three"),
        ({"9010": "00 00 00 00"}, 1997, "dlt645_1997_single"),
    ],
)
async def test_a_search_finds_a_meter(items: Items, edition: int, profile: str) -> None:
    line = Table({})
    line.script = answers_anybody(items, edition)
    (found,) = await search(line)
    assert (found.address, found.profile) == (ADDRESS, profile)
    assert {question.address for question in line.asked} == {"A" * 12}
    assert {question.control for question in line.asked} <= {0x01, 0x11, 0x13}


async def test_a_meter_that_only_tells_its_address_is_found() -> None:
    line = Table({})
    line.script = lambda question: (
        [(0, frame(0x93, bytes.fromhex(ADDRESS)[::-1]))] if question.control == 0x13 else []
    )
    (found,) = await search(line)
    assert (found.address, found.profile) == (ADDRESS, "dlt645_2007_single")


async def test_a_search_finds_nobody_where_it_is_silent() -> None:
    line = Table({})
    line.script = lambda _: []
    assert list(await search(line)) == []
    assert [question.control for question in line.asked] == [0x13, 0x01]


async def test_a_search_does_not_believe_an_address_without_digits() -> None:
    line = Table({})
    line.script = lambda question: (
        [(0, frame(0x93, b"\xff" * 6))] if question.control == 0x13 else [(0, question.refusal(2))]
    )
    with pytest.raises(Garbled, match="address is ffffffffffff"):
        await search(line)


async def search(line: Table) -> list[MeterSettings]:
    assert driver.probe is not None
    assert driver.probe.search is not None
    return list(await driver.probe.search(line))


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
