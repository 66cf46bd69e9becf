"""The records of an M-Bus answer: each with its form (DIF), what it measures (VIF), and a value. Pure.

EN 13757-3:2018, 6.3 (records, DIF and DIFE), 6.4 (VIF and VIFE) and annexes A (number types) and B. A record
is DIF, up to ten DIFE, VIF, up to ten VIFE, value; bit 7 of each says whether another of its kind follows.
"""

import math
import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from edge_agent.driver import Garbled

_MORE, _MOST_EXTENSIONS = 0x80, 10
_FILLER, _MAKERS, _MAKERS_MORE = 0x2F, 0x0F, 0x1F
_SPECIAL, _VARIABLE, _REAL = 0x0F, 0x0D, 0x05
_INTEGERS = {0x1: 1, 0x2: 2, 0x3: 3, 0x4: 4, 0x6: 6, 0x7: 8}  # bytes, by the low half of a DIF
_DIGITS = {0x9: 1, 0xA: 2, 0xB: 3, 0xC: 4, 0xE: 6}
_PLAIN = 0x7C  # a VIF that is written out
_TEXT, _POSITIVE, _NEGATIVE, _BINARY = (
    range(0xC0),
    range(0xC0, 0xD0),
    range(0xD0, 0xE0),
    range(0xE0, 0xF0),
)
_MINUS = 0xF  # as the highest digit of a BCD number; A to F are errors elsewhere


class Record(NamedTuple):
    """One record: its function (0: now), storage, tariff and subunit; what it measures, and the value.

    ``vif`` is the VIF with its VIFE, without the bits that say that more follow; ``text`` is what a VIF says
    that is written out. A value of None is one that the meter does not know, or that is no number.
    ``head`` is all before the value, as it was sent.
    """

    head: bytes
    function: int
    storage: int
    tariff: int
    subunit: int
    vif: bytes
    text: str
    value: Decimal | None


class _Reader:
    def __init__(self, told: bytes) -> None:
        self._told, self.at = told, 0

    @property
    def rest(self) -> int:
        return len(self._told) - self.at

    def take(self, size: int) -> bytes:
        if size > self.rest:
            raise Garbled(f"a value of {size} bytes, and {self.rest} are left")
        self.at += size
        return self._told[self.at - size : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def since(self, start: int) -> bytes:
        return self._told[start : self.at]

    def extensions(self, first: int) -> list[int]:
        """Return the bytes that follow one another, each announced by the one before it."""
        found, last = list[int](), first
        while last & _MORE:
            if len(found) == _MOST_EXTENSIONS:
                raise Garbled(f"more than {_MOST_EXTENSIONS} extensions")
            last = self.byte()
            found.append(last)
        return found


def records(told: bytes) -> tuple[list[Record], bool]:
    """Return the records of an answer, and whether another answer has more of them.

    Raises:
        Garbled: the bytes are none.
    """
    more = list[bool]()
    return list(_records(_Reader(told), more)), bool(more)


def _records(reader: _Reader, more: list[bool]) -> Iterator[Record]:
    while reader.rest:
        start = reader.at
        dif = reader.byte()
        if dif in {_MAKERS, _MAKERS_MORE}:  # what follows is the maker's own
            if dif == _MAKERS_MORE:
                more.append(True)
            return
        if dif == _FILLER:
            continue
        if dif & 0x0F == _SPECIAL:
            raise Garbled(f"a record of form {dif:02x}")
        yield _record(reader, start, dif)


def _record(reader: _Reader, start: int, dif: int) -> Record:
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    for number, dife in enumerate(reader.extensions(dif)):
        storage |= (dife & 0x0F) << 1 + 4 * number
        tariff |= (dife >> 4 & 3) << 2 * number
        subunit |= (dife >> 6 & 1) << number
    vif = reader.byte()
    text = reader.take(reader.byte()) if vif & ~_MORE == _PLAIN else b""
    whole = bytes(part & ~_MORE for part in (vif, *reader.extensions(vif)))
    head = reader.since(start)
    value = _value(reader, dif & 0x0F)
    return Record(
        head, dif >> 4 & 3, storage, tariff, subunit, whole, text[::-1].decode("ascii", "replace"), value
    )


def _value(reader: _Reader, form: int) -> Decimal | None:
    if form in _INTEGERS:
        return _integer(reader.take(_INTEGERS[form]))
    if form in _DIGITS:
        return _bcd(reader.take(_DIGITS[form]))
    if form == _REAL:
        real: float = struct.unpack("<f", reader.take(4))[0]
        return Decimal(f"{real:.8g}") if math.isfinite(real) else None
    return _variable(reader) if form == _VARIABLE else None


def _integer(told: bytes) -> Decimal | None:
    """Return a number of two's complement; the lowest says that there is none."""
    value = int.from_bytes(told, "little", signed=True)
    return None if len(told) > 1 and value == -1 << 8 * len(told) - 1 else Decimal(value)


def _bcd(told: bytes) -> Decimal | None:
    digits = told[::-1].hex()
    sign = "-" if told and told[-1] >> 4 == _MINUS else ""
    number = digits[1:] if sign else digits
    return Decimal(sign + number) if number.isdecimal() else None


def _variable(reader: _Reader) -> Decimal | None:
    size = reader.byte()
    if size in _TEXT:
        reader.take(size)
        return None
    if size in _POSITIVE or size in _NEGATIVE:
        value = _bcd(reader.take(size & 0x0F))
        return -value if value is not None and size in _NEGATIVE else value
    if size in _BINARY:
        return _integer(reader.take(size & 0x0F)) if size & 0x0F else None
    raise Garbled(f"a value of variable length {size:02x}")
