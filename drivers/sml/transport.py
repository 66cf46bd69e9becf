"""The transport of SML: where a telegram begins and ends, what is escaped in it, and its checksum. Pure.

SML version 1.04 (BSI TR-03109-1, annex IV a), section 8, transport protocol version 1:

    1B1B1B1B 01010101 | messages | 00 to 03 fill bytes | 1B1B1B1B 1A | fill, 1 | checksum, 2

The whole is a multiple of four bytes long. 1B1B1B1B inside the messages is sent twice. The checksum is
CRC-16/X.25 over all before it, low byte first.
"""

import binascii

from edge_agent.driver import Frame, Garbled, Need, Skip

_ESCAPE = b"\x1b\x1b\x1b\x1b"
_START = _ESCAPE + b"\x01\x01\x01\x01"
_END = b"\x1a"
_TAIL = 8  # the escape, the end mark, fill, checksum
_MOST_FILL = 3
LONGEST = 4000
"""Bytes of a telegram; those of meters have 200 to 700."""

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _crc(told: bytes, start: int) -> int:
    """Return the CRC of the mirrored polynomial 0x1021, which X.25 and Kermit share."""
    crc = binascii.crc_hqx(told.translate(_MIRRORED), start)
    return _MIRRORED[crc & 0xFF] << 8 | _MIRRORED[crc >> 8]


def x25(told: bytes) -> bytes:
    """Return the checksum as SML wants it."""
    return (_crc(told, 0xFFFF) ^ 0xFFFF).to_bytes(2, "little")


def kermit(told: bytes) -> bytes:
    """Return the checksum that some firmwares of Holley send instead, high byte first."""
    return _crc(told, 0).to_bytes(2, "big")


def _next_escape(heard: bytes, at: int) -> tuple[int, bytes]:
    """Return where the next escape that means something stands, and the four bytes after it.

    Those are short, or none, when more must be heard to tell: then it is where one may begin. An escape in
    the messages is passed over.
    """
    while (at := heard.find(_ESCAPE, at)) >= 0:
        after = heard[at + 4 : at + 8]
        if after == _ESCAPE:
            at += 8
        elif after[:1] == _END or len(after) < len(_ESCAPE) or _START.endswith(after):
            return at, after
        else:  # data that ends in 1B, with the escape one byte on
            at += 1
    return len(heard) - _begun(heard, _ESCAPE), b""


def _begun(heard: bytes, mark: bytes) -> int:
    """Return how many bytes at the end may be the beginning of a mark."""
    return next((size for size in range(len(mark) - 1, 0, -1) if heard.endswith(mark[:size])), 0)


def cut(heard: bytes) -> Frame | Need | Skip:
    """Find a telegram in the bytes so far. The checksum belongs to it: the end of one is quickly imitated."""
    start = heard.find(_START)
    if start < 0:
        foreign = len(heard) - _begun(heard, _START)
        return Skip(foreign) if foreign else Need(len(_START))
    if start:
        return Skip(start)
    at, after = _next_escape(heard, len(_START))
    size = at + _TAIL
    if size > LONGEST:
        return Skip(1)
    if _START.endswith(after) and len(after) == len(_ESCAPE):
        return Skip(at)  # another telegram begins: this one lost its end
    if len(heard) < size:
        return Need(size)
    told, sent = heard[: size - 2], heard[size - 2 : size]
    return Frame(size) if sent == x25(told) or sent == kermit(told) else Skip(1)


def messages(telegram: bytes, *, kermit_too: bool) -> bytes:
    """Return what stands between start and end, with the escapes undone.

    Raises:
        Garbled: it is no whole telegram, or its checksum is wrong.
    """
    if not telegram.startswith(_START) or len(telegram) < len(_START) + _TAIL:
        raise Garbled(f"{len(telegram)} bytes that begin with {telegram[:8].hex(' ') or 'nothing'}")
    if len(telegram) > LONGEST:
        raise Garbled(f"{len(telegram)} bytes, more than any meter sends")
    at, after = _next_escape(telegram, len(_START))
    if at != len(telegram) - _TAIL or after[:1] != _END:
        raise Garbled("its end is not where it should be")
    told, sent = telegram[:-2], telegram[-2:]
    if sent != x25(told):
        if sent != kermit(told):
            raise Garbled("checksum")
        if not kermit_too:
            raise Garbled("its checksum is a Kermit one; if all are, set kermit_checksum = true")
    fill = after[1]
    if fill > _MOST_FILL:
        raise Garbled(f"{fill} fill bytes, at most {_MOST_FILL} are possible")
    return telegram[len(_START) : at - fill].replace(_ESCAPE * 2, _ESCAPE)
