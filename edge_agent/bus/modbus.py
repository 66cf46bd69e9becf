"""Modbus RTU: a pure codec, and the master that reads registers over any line.

Source: MODBUS over Serial Line V1.02, sections 2.5.1 (RTU frames) and 6.2.2 (CRC); MODBUS Application
Protocol V1.1b3, sections 6.1 to 6.4 (functions 01 to 04) and 7 (exceptions).

A question and its answer:

    AA FF | SS SS | CC CC | XX XX            AA FF | N | N bytes | XX XX        AA FF+80 | E | XX XX

- A: address, F: function, X: CRC, low byte first
- S: first register or bit, C: how many, both high byte first        - N: bytes, E: exception code
"""

import struct

from edge_agent.driver import Cut, Frame, Garbled, Line, Need, Read, Refused, Skip, Table

MOST_WORDS, MOST_BITS = 125, 2000  # in one answer

_REQUEST = struct.Struct(">BBHH")
_REQUEST_SIZE = _REQUEST.size + 2
_SHORTEST_ANSWER = 5  # an exception; no other answer is shorter
_BEFORE_DATA = 3  # address, function, size
_AROUND_DATA = _BEFORE_DATA + 2  # and the CRC behind it
_EXCEPTION = 0x80
_TABLES: dict[int, Table] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_FUNCTIONS = {table: function for function, table in _TABLES.items()}
_LACKING = {1, 2, 3}  # function, register or count that the device does not have; no. 5 and 6 pass
_REASONS = {
    1: "it does not know this function",
    2: "it has no such register",
    3: "it does not take this count",
    4: "it failed",
    5: "it needs more time",
    6: "it is busy",
    8: "its memory is damaged",
    10: "the Modbus gateway has no path to it",
    11: "the Modbus gateway got no answer from it",
}


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC = tuple(map(_crc_of, range(256)))


def crc16(data: bytes) -> int:
    """Return the CRC-16 of Modbus. It is sent low byte first; over a frame with its CRC it is 0."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def _check(question: Read) -> None:
    unit, table, start, count = question.unit, question.table, question.start, question.count
    # 248 to 255 are reserved by the standard, yet PZEM meters answer at 248
    if not 1 <= unit <= 255:  # noqa: PLR2004 - the width of the field
        raise ValueError(f"unit {unit} cannot be asked; use 1 to 247")
    most = MOST_BITS if table in {"coil", "discrete"} else MOST_WORDS
    if not 1 <= count <= most:
        raise ValueError(f"{count} from table {table} cannot be read at once; use 1 to {most}")
    if not 0 <= start <= 0x10000 - count:
        raise ValueError(f"{count} from {start} on are not all in table {table}; it has 0 to 65535")


def _data_size(question: Read) -> int:
    return (question.count + 7) // 8 if question.table in {"coil", "discrete"} else 2 * question.count


def asking(question: Read) -> bytes:
    """Return what every frame that asks a question carries: unit, function, start, count.

    Raises:
        ValueError: the question cannot be asked; the message says what can.
    """
    _check(question)
    return _REQUEST.pack(question.unit, _FUNCTIONS[question.table], question.start, question.count)


def request(question: Read) -> bytes:
    """Return the frame that asks a question.

    Raises:
        ValueError: the question cannot be asked; the message says what can.
    """
    body = asking(question)
    return body + crc16(body).to_bytes(2, "little")


def read_request(frame: bytes) -> Read:
    """Return the question that a request frame asks.

    Raises:
        Garbled: it is no intact request to read.
    """
    if len(frame) != _REQUEST_SIZE:
        raise Garbled(f"a request of {len(frame)} bytes, expected {_REQUEST_SIZE}")
    if crc16(frame):
        raise Garbled("checksum of the request")
    unit, function, start, count = _REQUEST.unpack_from(frame)
    table = _TABLES.get(function)
    if table is None:
        raise Garbled(f"a request with function {function}, expected 1 to 4")
    question = Read(unit, table, start, count)
    try:
        _check(question)
    except ValueError as error:
        raise Garbled(str(error)) from error
    return question


def _asks(heard: bytes) -> bool:
    return len(heard) >= _REQUEST_SIZE and not crc16(heard[:_REQUEST_SIZE])


def answer_cut(question: Read) -> Cut:
    """Return the cut that finds the answer to a question, or its refusal, among other bytes.

    Noise before an answer is common when a line turns around, and may look like an address or a
    function. So a frame counts only if address, function, size and checksum are all those of the answer.
    The cut raises Garbled where another master asks the same device: what follows answers that. (Our own
    echo never comes so far.)
    """
    address = bytes([question.unit])
    function = _FUNCTIONS[question.table]
    size = _data_size(question)

    def cut(heard: bytes) -> Frame | Need | Skip:
        at = heard.find(address)
        if at:
            return Skip(len(heard) if at < 0 else at)
        if len(heard) < _SHORTEST_ANSWER:
            return Need(_SHORTEST_ANSWER)
        if heard[1] == function and heard[2] == size:
            whole = size + _AROUND_DATA
        elif heard[1] == function | _EXCEPTION:
            whole = _SHORTEST_ANSWER
        elif heard[1] == function and _asks(heard):
            raise Garbled(f"another master asks unit {question.unit}; a line has one master")
        else:
            return Skip(1)
        if len(heard) < whole:
            return Need(whole)
        return Skip(1) if crc16(heard[:whole]) else Frame(whole)

    return cut


def parse(question: Read, frame: bytes) -> bytes:
    """Return the data of an answer: 2 bytes a register, high byte first, or packed bits, low bit first.

    Raises:
        Garbled: the frame is damaged, or answers another question.
        Refused: the device says no; the message names its code.
    """
    if len(frame) < _SHORTEST_ANSWER:
        raise Garbled(f"an answer of {len(frame)} bytes")
    if crc16(frame):
        raise Garbled("checksum of the answer")
    return answered(question, frame[:-2])


def answered(question: Read, answer: bytes) -> bytes:
    """Return the data of an answer that has at least 3 bytes, without its checksum. Raises as ``parse``."""
    unit, function, size = answer[0], answer[1], answer[2]
    asked = _FUNCTIONS[question.table]
    if unit != question.unit:
        raise Garbled(f"unit {unit} answered instead of unit {question.unit}")
    if function == asked | _EXCEPTION and len(answer) == _SHORTEST_ANSWER - 2:
        reason = _REASONS.get(size, "no reason known")
        raise Refused(
            f"unit {unit} refused to read {question.count} from {question.table} {question.start}: "
            f"{reason} (code {size})",
            lasting=size in _LACKING,
        )
    if function != asked:
        raise Garbled(f"an answer to function {function}, asked was {asked}")
    expected = _data_size(question)
    if not size == expected == len(answer) - _BEFORE_DATA:
        raise Garbled(f"an answer with {len(answer) - _BEFORE_DATA} bytes of data, expected {expected}")
    return answer[_BEFORE_DATA:]


def meaning(request: bytes, answer: bytes) -> tuple[Read, bytes]:
    """Return the question of a request frame, and the data of its answer. Raises as both do."""
    question = read_request(request)
    return question, parse(question, answer)


class Rtu:
    """The registers of the Modbus devices on a line.

    ``within`` is how long a device may take until its answer begins, in seconds; ``speed`` is for devices
    whose baud rate differs from the line's.
    """

    def __init__(self, line: Line, *, within: float = 1.0, speed: int | None = None) -> None:
        self._line, self._within, self._speed = line, within, speed

    async def read(self, question: Read) -> bytes:
        """Return the answer's data.

        Raises:
            NoAnswer: the device stays silent.
            Garbled: no intact answer came.
            Refused: the device says no.
            BusError: the medium is gone.
            ValueError: the question cannot be asked.
        """
        answer = await self._line.exchange(
            request(question), answer_cut(question), within=self._within, speed=self._speed
        )
        return parse(question, answer)
