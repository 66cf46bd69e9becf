"""Modbus TCP: the same registers as over a line, behind a header with a number for each question.

Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3 (header) and 4.4.2 (transactions).

    TT TT | 00 00 | LL LL | AA | F ...

- T: transaction, which the answer repeats      - L: bytes that follow, with the unit A
- F: function and what belongs to it, as in Modbus RTU; no CRC
"""

import struct
from itertools import count

from edge_agent.bus import modbus
from edge_agent.bus.address import Address
from edge_agent.driver import Cut, Frame, Line, Need, Read, Registers, Skip

_HEADER = struct.Struct(">HHH")
_transactions = count(1)  # for all connections, so that none has two of a number under way
_SHORTEST, _LONGEST = 3, 254  # bytes after the length: unit, function, exception; the most that is allowed


def answer_cut(transaction: int, unit: int) -> Cut:
    """Return the cut that finds the answer with that number, from that unit, among others."""

    def cut(heard: bytes) -> Frame | Need | Skip:
        if len(heard) < _HEADER.size + 1:
            return Need(_HEADER.size + 1)
        number, protocol, length = _HEADER.unpack_from(heard)
        if protocol or not _SHORTEST <= length <= _LONGEST:
            return Skip(1)
        whole = _HEADER.size + length
        if len(heard) < whole:
            return Need(whole)
        return Frame(whole) if (number, heard[_HEADER.size]) == (transaction, unit) else Skip(whole)

    return cut


class Mbap:
    """The registers of the devices behind a connection. ``within``: until an answer begins, in seconds."""

    def __init__(self, line: Line, *, within: float = 1.0) -> None:
        self._line, self._within = line, within

    async def read(self, question: Read) -> bytes:
        """Return the answer's data. Raises as ``Rtu.read``."""
        asking = modbus.asking(question)
        transaction = next(_transactions) % 0x10000
        request = _HEADER.pack(transaction, 0, len(asking)) + asking
        cut = answer_cut(transaction, question.unit)
        answer = await self._line.exchange(request, cut, within=self._within)
        return modbus.answered(question, answer[_HEADER.size :])


def meaning(request: bytes, answer: bytes) -> tuple[Read, bytes]:
    """Return the question of a request with its header, and the data of its answer. Raises as for RTU."""
    asking = request[_HEADER.size :]
    question = modbus.read_request(asking + modbus.crc16(asking).to_bytes(2, "little"))
    return question, modbus.answered(question, answer[_HEADER.size :])


def registers_at(port: str, line: Line, within: float = 1.0) -> Registers:
    """Return the registers of the devices on a line to that port: framed for TCP, or as on any line.

    ``within`` is how long a device may take until its answer begins, in seconds.
    """
    framed = Mbap if Address.parse(port).kind == "modbus-tcp" else modbus.Rtu
    return framed(line, within=within)
