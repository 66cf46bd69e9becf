"""The frames of DL/T 645, in both editions: a pure codec that can only ask, never set anything.

DL/T 645-2007, 5.2 (frames), 5.3.3 (timing) and 7 (commands); DL/T 645-1997 has the same frames with other
commands and with shorter identifiers:

    FE FE FE FE | 68 | address, 6 | 68 | C | L | data, L bytes | CS | 16

- up to four FE may lead a frame, in both directions; they are in no checksum
- address: twelve digits in packed BCD, low byte first; AA asks for any two digits, and the answer has the
  real ones
- C: the command, with 80 in an answer, 40 in a refusal, 20 where more data follows
- data: each byte is sent with 33 added; an identifier comes first, low byte first
- CS: the sum of all from the first 68 on, modulo 256

Any byte inside may be 68, 16 or FE, so that only length and checksum tell where a frame ends.
"""

from enum import IntEnum
from typing import NamedTuple

from edge_agent.driver import Cut, Frame, Garbled, Need, NotMine, Refused, Skip

WILDCARD = 0xAA
MOST_PREAMBLE = 4
_PREAMBLE, _START, _END = b"\xfe", b"\x68", b"\x16"
_LIFT = 0x33
_HEAD, _TAIL = 10, 2  # bytes before and behind the data
_MOST_DATA = 200  # in an answer; DL/T 645-2007, 5.2.5
_ANSWER, _REFUSAL, _MORE, _COMMAND = 0x80, 0x40, 0x20, 0x1F
_NINE = 9

# DL/T 645-2007, annex C; 1997 has the same but for bit 0, which is there said of illegal data, and bit 3
_ERRORS = (
    "another error",
    "it has no such data",
    "wrong password, or not authorised",
    "it cannot change its baud rate",
    "too many time zones in a year",
    "too many time slots in a day",
    "too many tariffs",
)


class Command(IntEnum):
    """All that can be asked. The standard's other commands set, clear, freeze or switch something."""

    READ_1997 = 0x01
    MORE_1997 = 0x02
    READ = 0x11
    MORE = 0x12
    READ_ADDRESS = 0x13

    @property
    def edition(self) -> int:
        """The edition of the standard that has this command: 1997 or 2007."""
        return 1997 if self < Command.READ else 2007


class Question(NamedTuple):
    """What is asked of whom.

    ``address`` and ``item`` are written as in the standard's tables, high digits first: ``"000000000161"``,
    ``"02010100"``. ``part`` counts the frames of an answer that is longer than one, in the edition of 2007.
    """

    address: str
    command: Command
    item: str = ""
    part: int = 0


class Answer(NamedTuple):
    """What one frame answers: the real address, the data behind the identifier, and whether more follows."""

    address: str
    data: bytes
    more: bool


def request(question: Question, preamble: int = MOST_PREAMBLE) -> bytes:
    """Return the frame that asks a question, behind ``preamble`` leading bytes."""
    said = _wire(question.item)
    if question.command is Command.MORE:
        said += bytes([question.part])
    frame = _START + _wire(question.address) + _START + bytes([question.command, len(said)])
    frame += bytes((byte + _LIFT) % 256 for byte in said)
    return _PREAMBLE * preamble + frame + bytes([sum(frame) % 256]) + _END


def read_request(frame: bytes) -> Question:
    """Return the question that a frame asks.

    Raises:
        Garbled: it is no intact frame, or no command that reads.
    """
    address, control, said = _open(frame)
    try:
        command = Command(control)
    except ValueError as error:
        raise Garbled(f"a request with control code {control:02X}, which does not read") from error
    size = _item_size(command)
    if len(said) != size + (command is Command.MORE):
        raise Garbled(f"a request with {len(said)} bytes of data")
    return Question(address, command, said[:size][::-1].hex().upper(), said[size] if said[size:] else 0)


def parse(question: Question, frame: bytes) -> Answer:
    """Return what a frame answers to a question.

    Raises:
        NotMine: it is a request, or the answer of another meter.
        Garbled: it is damaged, or answers another question.
        Refused: the meter says no, or speaks the other edition of the standard; the message names the reason.
    """
    address, control, said = _open(frame)
    if not control & _ANSWER:
        raise NotMine("a request, not an answer")
    if not _stands_for(_wire(question.address), _wire(address)):
        raise NotMine(f"an answer of meter {address}, asked was {question.address}")
    _check_command(question, address, control)
    if control & _REFUSAL:
        raise Refused(f"meter {address} refused to read {question.item or 'its address'}: {_reasons(said)}")
    size = _item_size(question.command)
    item, data = said[:size], said[size:]
    if item != _wire(question.item):
        raise Garbled(f"an answer about {item[::-1].hex().upper()}, asked was {question.item}")
    if question.command is Command.MORE:
        data, part = data[:-1], data[-1:]
        if part != bytes([question.part]):
            raise Garbled(f"part {part.hex() or 'unnumbered'} of {question.item}, asked was {question.part}")
    return Answer(address, data, bool(control & _MORE))


def answer_cut(question: Question) -> Cut:
    """Return the cut that finds the answer to a question, or its refusal, among other bytes.

    It looks at least once a frame for an intact answer also behind something that begins like one and whose
    end is not here yet: else a length that was damaged would swallow the frames behind it.
    """

    def cut(heard: bytes) -> Frame | Need | Skip:
        begun, wanted = -1, 0
        at = heard.find(_START)
        while at >= 0:
            piece = heard[at : at + _HEAD + _MOST_DATA + _TAIL]
            if _may_begin(question, piece):
                size = _HEAD + (piece[_HEAD - 1] if len(piece) >= _HEAD else 0) + _TAIL
                if len(piece) >= size and _answers(question, piece[:size]):
                    return Skip(at) if at else Frame(size)
                if len(piece) < size and begun < 0:
                    begun, wanted = at, size
            at = heard.find(_START, at + 1)
        if begun < 0:
            return Skip(len(heard))
        return Skip(begun) if begun else Need(min(wanted, len(heard) + _HEAD + _TAIL))

    return cut


def cut(heard: bytes) -> Frame | Need | Skip:
    """Find any intact frame, a request or an answer, among other bytes."""
    at = heard.find(_START)
    if at:
        return Skip(at if at > 0 else len(heard))
    if len(heard) < _HEAD:
        return Need(_HEAD) if heard[7:8] in {b"", _START} else Skip(1)
    size = _HEAD + heard[_HEAD - 1] + _TAIL
    if heard[_HEAD - 1] > _MOST_DATA:
        return Skip(1)
    if len(heard) < size:
        return Need(size)
    try:
        _open(heard[:size])
    except Garbled:
        return Skip(1)
    return Frame(size)


def _open(frame: bytes) -> tuple[str, int, bytes]:
    """Return address, control code and data of a frame, with all that can be verified verified."""
    frame = frame.lstrip(_PREAMBLE)
    if len(frame) < _HEAD + _TAIL:
        raise Garbled(f"{len(frame)} bytes, too short for a frame")
    if frame[:1] != _START or frame[7:8] != _START or frame[-1:] != _END:
        raise Garbled("not marked 68 .. 68 .. 16 as a frame is")
    if frame[_HEAD - 1] != len(frame) - _HEAD - _TAIL:
        raise Garbled(f"{len(frame) - _HEAD - _TAIL} bytes of data, its length says {frame[_HEAD - 1]}")
    if sum(frame[:-_TAIL]) % 256 != frame[-_TAIL]:
        raise Garbled("checksum")
    said = bytes((byte - _LIFT) % 256 for byte in frame[_HEAD:-_TAIL])
    return frame[1:7][::-1].hex().upper(), frame[8], said


def _check_command(question: Question, address: str, control: int) -> None:
    """Find an answer to another command; the commands of the other edition tell what the meter speaks."""
    try:
        answered = Command(control & _COMMAND)
    except ValueError as error:
        raise Garbled(f"an answer with control code {control:02X}") from error
    if answered.edition != question.command.edition:
        raise Refused(f"meter {address} speaks DL/T 645-{answered.edition}; choose a profile of that edition")
    if answered is not question.command:
        raise Garbled(f"an answer to command {answered:02X}, asked was {question.command:02X}")


def _reasons(said: bytes) -> str:
    if not said:
        return "no reason told"
    named = [text for bit, text in enumerate(_ERRORS) if said[0] >> bit & 1]
    return f"{', '.join(named) or 'no reason known'} (error word {said[0]:02X})"


def _may_begin(question: Question, piece: bytes) -> bool:
    """Tell whether an answer may begin like this, as far as there are bytes."""
    address, rest = piece[1:7], piece[7:_HEAD]
    return (
        _stands_for(_wire(question.address)[: len(address)], address)
        and rest[:1] in {b"", _START}
        and all(control & _ANSWER for control in rest[1:2])
        and all(length <= _MOST_DATA for length in rest[2:3])
    )


def _answers(question: Question, frame: bytes) -> bool:
    try:
        parse(question, frame)
    except Refused:
        return True
    except (Garbled, NotMine):
        return False
    return True


def _stands_for(asked: bytes, real: bytes) -> bool:
    return all(
        ours == theirs or (ours == WILDCARD and theirs >> 4 <= _NINE and theirs & 0xF <= _NINE)
        for ours, theirs in zip(asked, real, strict=True)
    )


def _item_size(command: Command) -> int:
    if command is Command.READ_ADDRESS:
        return 0
    return 2 if command.edition == 1997 else 4  # noqa: PLR2004 - the editions are named by their years


def _wire(written: str) -> bytes:
    return bytes.fromhex(written)[::-1]
