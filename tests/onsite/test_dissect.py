"""What passes on a port, told from the bytes alone."""

from collections.abc import Iterable

import pytest

from edge_agent import registry
from edge_agent.bus.modbus import crc16, request
from edge_agent.driver import Read
from edge_agent.onsite.dissect import Asked, Dissector, Modbus, Passed, Unasked

RADAR = bytes.fromhex("F4F3F2F10D0002AA0251000000003B00005500F8F7F6F5")
LD2410, DLT645 = registry.load("ld2410"), registry.load("dlt645")


def sealed(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


ASKED = request(Read(7, "input", 0, 2))
ANSWERED = sealed(bytes.fromhex("070404 43668000"))
REFUSED = sealed(bytes.fromhex("078402"))
WRITTEN = sealed(bytes.fromhex("07 10 0006 0002 04 3F80 0000"))


def dissector() -> Dissector:
    radar = Unasked("ld2410", LD2410, LD2410.settings(), alone=False)
    return Dissector([radar, Modbus(), Asked("dlt645", DLT645)])


def told(*pieces: bytes) -> list[Passed]:
    made = dissector()
    return [one for piece in pieces for one in made.feed(piece)] + list(made.quiet())


def single(content: bytes) -> Iterable[bytes]:
    return (bytes([byte]) for byte in content)


NOISE = b"\x00\xff\x13"
TALK = ASKED + ANSWERED + NOISE + RADAR + ASKED + REFUSED + WRITTEN


@pytest.mark.parametrize("pieces", [[TALK], list(single(TALK)), [TALK[:11], TALK[11:40], TALK[40:]]])
def test_every_frame_is_told_however_it_comes(pieces: list[bytes]) -> None:
    passed = told(*pieces)
    assert b"".join(one.content for one in passed) == TALK
    assert [one.who for one in passed] == [
        "modbus",
        "modbus",
        "",
        "ld2410",
        "modbus",
        "modbus",
        "modbus",
    ]
    texts = [one.text for one in passed if one.who == "modbus"]
    assert texts[0] == "unit 7 is asked for 2 of input from 0"
    assert texts[1] == "unit 7 answers, input from 0: 4366 8000"
    assert "unit 7 refused to read 2 from input 0" in texts[3]
    assert texts[4] == "unit 7, function 16"
    assert passed[2].content == NOISE
    assert passed[3].samples["moving_distance"] == (0.81, "m")


def test_an_answer_whose_question_was_not_heard_is_a_frame_all_the_same() -> None:
    (answer,) = told(ANSWERED)
    assert (answer.who, answer.text) == ("modbus", "unit 7, function 4")


def test_a_meters_answer_says_what_it_is() -> None:
    # DL/T 645-2007, voltage of phase A: asked and answered as in the driver's vectors
    asked = bytes.fromhex("FEFEFEFE 68 610100000000 68 11 04 33343435")
    asked += bytes([sum(asked[4:]) % 256, 0x16])
    answered = bytes.fromhex("FEFE 68 610100000000 68 91 06 33343435 3856")
    answered += bytes([sum(answered[2:]) % 256, 0x16])
    passed = told(asked, answered)
    assert [one.who for one in passed] == ["", "dlt645", "", "dlt645 000000000161"]
    assert passed[3].samples["voltage_a"] == (230.5, "V")


def test_garbage_is_bounded_and_half_a_frame_is_rest() -> None:
    made = dissector()
    passed = [one for _ in range(100) for one in made.feed(b"\x55" * 997)]
    assert sum(len(one.content) for one in passed) >= 100 * 997 - 4096 - 64
    assert max(len(one.content) for one in passed) <= 64
    list(made.quiet())
    half = [*made.feed(RADAR[:15]), *made.quiet()]
    assert [(one.who, one.content) for one in half] == [("", RADAR[:15])]
    assert [one.who for one in made.feed(RADAR)] == ["ld2410"]


def test_a_driver_alone_shows_its_faults() -> None:
    alone = Dissector([Unasked("ld2410", LD2410, LD2410.settings(), alone=True)])
    broken = RADAR[:6] + b"\x09" + RADAR[7:]
    (passed,) = alone.feed(broken)
    assert passed.text.startswith("Garbled: ")
