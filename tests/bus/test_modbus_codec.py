import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.bus.framing import Framer
from edge_agent.bus.modbus import Rtu, answer_cut, crc16, parse, read_request, request
from edge_agent.driver import Cut, Fault, Garbled, Read, Refused, Table

# Frames captured or printed by others, with their source.
VECTORS = [
    # XY-MD02 manual, temperature
    ("01 04 00 01 00 01 60 0A", "01 04 02 01 31 79 74", Read(1, "input", 1, 1), "0131"),
    # XY-MD02 manual, humidity; it prints wrong checksums, these are right
    ("01 04 00 02 00 01 90 0A", "01 04 02 02 22 38 49", Read(1, "input", 2, 1), "0222"),
    # XY-MD02 clone with a finer scale
    ("01 04 00 01 00 01 60 0A", "01 04 02 0B EA 3F 8F", Read(1, "input", 1, 1), "0bea"),
    # Eastron SDM320Y user manual, p. 42
    ("01 04 00 00 00 02 71 CB", "01 04 04 43 66 33 34 1B 38", Read(1, "input", 0, 2), "43663334"),
    # Eastron SDM320Y user manual, p. 43
    ("01 03 00 0C 00 02 04 08", "01 03 04 42 C8 00 00 6F B5", Read(1, "holding", 12, 2), "42c80000"),
    # KBR multicomp F144 manual, p. 62
    (
        "01 04 00 01 00 06 21 C8",
        "01 04 0C 43 6B 5A B4 42 DC 67 20 42 48 0C 63 AF 7C",
        Read(1, "input", 1, 6),
        "436b5ab442dc672042480c63",
    ),
    # PZEM-004T v3 at its general address
    (
        "F8 04 00 00 00 0A 64 64",
        "F8 04 14 08 D3 00 23 00 00 00 05 00 00 00 02 00 00 01 F5 00 06 00 00 F8 BE",
        Read(0xF8, "input", 0, 10),
        "08d300230000000500000002000001f500060000",
    ),
    # PZEM-004T v3, ESPHome feature request 49
    (
        "01 04 00 00 00 0A 70 0D",
        "01 04 14 08 D1 00 6C 00 00 00 F4 00 00 00 26 00 00 01 F4 00 64 00 00 51 34",
        Read(1, "input", 0, 10),
        "08d1006c000000f400000026000001f400640000",
    ),
    # Huawei inverter reading its Chint meter
    ("0B 03 07 D1 00 01 D5 ED", "0B 03 02 3F 80 30 15", Read(11, "holding", 0x7D1, 1), "3f80"),
    # Solax inverter reading its Eastron SDM230
    ("01 03 00 0E 00 01 E5 C9", "01 03 02 00 00 B8 44", Read(1, "holding", 14, 1), "0000"),
]
QUESTIONS = st.builds(
    Read,
    st.integers(1, 247),
    st.sampled_from(["coil", "discrete", "input", "holding"]),
    st.integers(0, 0xFF00),
    st.integers(1, 125),
)


def sealed(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


def answer(question: Read) -> bytes:
    function = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}[question.table]
    size = (question.count + 7) // 8 if function < 3 else 2 * question.count
    return sealed(bytes([question.unit, function, size]) + bytes(range(size)))


@pytest.mark.parametrize(("asked", "answered", "question", "expected"), VECTORS)
def test_frames_recorded_by_others(asked: str, answered: str, question: Read, expected: str) -> None:
    frame = bytes.fromhex(answered)
    assert request(question) == bytes.fromhex(asked)
    assert read_request(bytes.fromhex(asked)) == question
    assert parse(question, frame).hex() == expected
    assert Framer(answer_cut(question)).feed(frame) == [frame]


def test_crc_of_the_standard_check_string() -> None:
    assert crc16(b"123456789") == 0x4B37


@pytest.mark.parametrize(
    "question",
    [
        Read(0, "input", 0, 1),  # nobody answers a broadcast
        Read(256, "input", 0, 1),
        Read(1, "input", 0, 0),
        Read(1, "input", 0, 126),
        Read(1, "coil", 0, 2001),
        Read(1, "holding", 0xFFFF, 2),
        Read(1, "holding", -1, 1),
    ],
)
def test_a_question_that_cannot_be_asked(question: Read) -> None:
    with pytest.raises(ValueError, match=r"use 1 to|it has 0 to 65535"):
        request(question)


@pytest.mark.parametrize(
    "question",
    [Read(1, "input", 0xFFFF - 124, 125), Read(247, "coil", 0, 2000), Read(0xF8, "discrete", 0xFFFF, 1)],
)
def test_the_largest_questions_go_there_and_back(question: Read) -> None:
    assert read_request(request(question)) == question
    assert len(parse(question, answer(question))) == len(answer(question)) - 5


@pytest.mark.parametrize(
    "frame",
    [b"", b"\x01\x04", request(Read(1, "input", 0, 1)) + b"\x00", request(Read(1, "input", 0, 1))[:-1] + b"?"]
    + [sealed(struct.pack(">BBHH", *fields)) for fields in [(1, 6, 0, 1), (1, 4, 0, 126), (0, 4, 0, 1)]],
)
def test_what_is_no_request(frame: bytes) -> None:
    with pytest.raises(Garbled):
        read_request(frame)


QUESTION = Read(1, "input", 50, 4)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"", "0 bytes"),
        (answer(QUESTION)[:-1], "checksum"),
        (answer(QUESTION)[:-1] + b"\x00", "checksum"),
        (answer(Read(2, "input", 50, 4)), "unit 2 answered"),
        (answer(Read(1, "holding", 50, 4)), "function 3"),
        (answer(Read(1, "input", 0, 2)), "4 bytes of data, expected 8"),
        (sealed(b"\x01\x04\x08\x00\x01"), "2 bytes of data, expected 8"),
        (sealed(b"\x01\x83\x02"), "function 131"),
    ],
)
def test_what_is_no_answer(frame: bytes, said: str) -> None:
    with pytest.raises(Garbled, match=said):
        parse(QUESTION, frame)
    assert Framer(answer_cut(QUESTION)).feed(frame) == []


@pytest.mark.parametrize(
    ("code", "said", "lasting"),
    [(1, "function", True), (2, "no such register", True), (6, "busy", False), (99, "99", False)],
)
def test_a_refusal_names_its_code(code: int, said: str, lasting: bool) -> None:  # noqa: FBT001 - a case
    frame = sealed(bytes([1, 0x84, code]))
    assert Framer(answer_cut(QUESTION)).feed(b"\x00" + frame) == [frame]
    with pytest.raises(Refused, match=rf"{said}.*\(code {code}\)|\(code {code}\)") as refused:
        parse(QUESTION, frame)
    assert refused.value.lasting is lasting


@pytest.mark.parametrize("unit", [1, 2, 3, 4, 17, 132, 200, 247])
@pytest.mark.parametrize("table", ["coil", "discrete", "input", "holding"])
def test_an_answer_is_found_behind_any_noise(unit: int, table: Table) -> None:
    question = Read(unit, table, 2, 9)
    good = answer(question)
    beginnings = [good[:size] for size in range(1, len(good))]
    refusal = bytes([unit, good[1] | 0x80])
    for noise in [b"\x00", b"\xff", b"\x00\xff\x55", bytes([unit]), refusal, request(question), *beginnings]:
        framer = Framer(answer_cut(question))
        frames = [frame for byte in noise + good for frame in framer.feed(bytes([byte]))]
        assert frames == [good], noise.hex(" ")


@given(QUESTIONS, st.binary(max_size=300))
def test_nothing_but_faults_comes_out_of_any_bytes(question: Read, heard: bytes) -> None:
    for frame in [heard, *Framer(answer_cut(question)).feed(heard)]:
        for decode in (lambda frame: parse(question, frame), read_request):
            with suppress(Fault):
                decode(frame)


@given(QUESTIONS, st.data())
def test_one_flipped_bit_never_passes(question: Read, data: st.DataObject) -> None:
    frame = bytearray(answer(question))
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Garbled):
        parse(question, bytes(frame))
    assert Framer(answer_cut(question)).feed(bytes(frame)) == []


class Script:
    """A line that says what it is told to."""

    def __init__(self, *says: bytes | Fault) -> None:
        self.says, self.sent = list(says), list[tuple[bytes, float, int | None]]()

    async def exchange(
        self,
        request: bytes,
        _cut: Cut,
        *,
        within: float,
        speed: int | None = None,
        answer_speed: int | None = None,
        longest: int = 1024,
    ) -> bytes:
        assert (answer_speed, longest) == (None, 1024)
        self.sent.append((request, within, speed))
        word = self.says.pop(0)
        if isinstance(word, Fault):
            raise word
        return word


async def test_a_question_is_asked_as_the_device_wants_it() -> None:
    good = answer(QUESTION)
    line = Script(good, good)
    rtu = Rtu(line, within=0.3, speed=2400)
    assert await rtu.read(QUESTION) == await rtu.read(QUESTION) == good[3:-2]
    assert line.sent == [(request(QUESTION), 0.3, 2400)] * 2


async def test_a_refusal_is_not_asked_again() -> None:
    line = Script(sealed(b"\x01\x84\x02"))
    with pytest.raises(Refused):
        await Rtu(line).read(QUESTION)
    assert len(line.sent) == 1
