"""The frames of M-Bus on the wire. Pure.

EN 13757-2:2018, 5.7 (format class FT 1.2 of EN 60870-5-1):

    E5                                    an acknowledgement
    10 C A checksum 16                    a short frame: what is asked
    68 L L 68 C A CI data checksum 16     a long frame: an answer

L counts C to the last byte of data; the checksum is the sum of those, modulo 256.
"""

from typing import NamedTuple

from edge_agent.driver import Cut, Frame, Garbled, Need, NotMine, Skip

ACK = b"\xe5"
ANYBODY = 254
_SHORT, _LONG, _STOP = 0x10, 0x68, 0x16
_INITIALISE = 0x40  # SND_NKE
_READ = (0x7B, 0x5B)  # REQ_UD2, frame count bit set first, then clear
_ANSWER, _ANSWER_MASK = 0x08, 0xCF  # RSP_UD, but for its bits of access demand and data flow
_SHORT_SIZE, _HEAD, _LEAST, _AROUND = 5, 6, 3, 6


class Answer(NamedTuple):
    """What stands in a long frame: who answers, of what kind it is, and its data."""

    address: int
    kind: int
    told: bytes


def _short(control: int, address: int) -> bytes:
    return bytes([_SHORT, control, address, (control + address) & 0xFF, _STOP])


def initialise(address: int) -> bytes:
    """Return the request to begin anew; it changes nothing but the count of the frames."""
    return _short(_INITIALISE, address)


def read(address: int, number: int) -> bytes:
    """Return the request for the answer of that number, from 0 on, since the beginning."""
    return _short(_READ[number % 2], address)


def asked(request: bytes) -> tuple[bool, int]:
    """Return whether a request asks for an answer, and of which address.

    Raises:
        Garbled: it is none of ours.
    """
    if len(request) == _SHORT_SIZE:
        control, address = request[1:3]
        if control in {_INITIALISE, *_READ} and request == _short(control, address):
            return control != _INITIALISE, address
    raise Garbled(f"{request[:8].hex(' ') or 'nothing'} is no question of this driver")


def parse(frame: bytes, address: int) -> Answer:
    """Return what a long frame holds.

    Raises:
        Garbled: it is none.
        NotMine: it is somebody else's, or no answer.
    """
    if len(frame) < _AROUND + _LEAST or frame[0] != _LONG or frame[3] != _LONG:
        raise Garbled(f"{len(frame)} bytes that are no long frame: {frame[:8].hex(' ') or 'nothing'}")
    if not frame[1] == frame[2] == len(frame) - _AROUND:
        raise Garbled(f"{len(frame) - _AROUND} bytes inside, its lengths say {frame[1]} and {frame[2]}")
    if not _is_sound(frame):
        raise Garbled(f"its checksum or its end is wrong: {frame[-2:].hex(' ')}")
    control, who, kind = frame[4:7]
    if not _is_answer(control, who, address):
        raise NotMine(f"control {control:02x} of address {who}")
    return Answer(who, kind, frame[7:-2])


def cut_ack(heard: bytes) -> Frame | Need | Skip:
    """Find an acknowledgement."""
    return Frame(1) if heard[:1] == ACK else Skip(1)


def cut_answer(address: int) -> Cut:
    """Return the cut that finds the answer of an address. The checksum belongs to it."""

    def cut(heard: bytes) -> Frame | Need | Skip:
        start = heard.find(_LONG)
        if start:
            return Skip(start if start > 0 else len(heard))
        if len(heard) < _HEAD:
            return Need(_HEAD)
        _, size, again, mark, control, who = heard[:_HEAD]
        if size != again or size < _LEAST or mark != _LONG or not _is_answer(control, who, address):
            return Skip(1)
        size += _AROUND
        if len(heard) < size:
            return Need(size)
        return Frame(size) if _is_sound(heard[:size]) else Skip(1)

    return cut


def _is_answer(control: int, who: int, address: int) -> bool:
    return control & _ANSWER_MASK == _ANSWER and address in {who, ANYBODY}


def _is_sound(frame: bytes) -> bool:
    return frame[-1] == _STOP and sum(frame[4:-2]) & 0xFF == frame[-2]
