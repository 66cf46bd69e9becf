r"""Electricity meters that send text unasked: IEC 62056-21 mode D over an infrared head, and DSMR P1.

IEC 62056-21:2002, 6.2 and 6.5 (mode D: 9600 7E1, no checksum) and DSMR 5.0.2, P1 companion standard, 6
(115200 8N1, with a checksum):

    / identification CR LF [CR LF] lines of values ! [checksum, 4 hex digits] CR LF

The checksum is CRC-16/ARC over all from / to !, both included.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from drivers.d0.telegram import LONGEST, read, samples, seven_bits
from edge_agent.driver import (
    Channel,
    Driver,
    Frame,
    Garbled,
    Need,
    NotMine,
    Over,
    Probe,
    Sample,
    Settings,
    Skip,
    obis,
)

_BEGIN, _END = b"/", b"!"
_CHECKSUM = re.compile(rb"([0-9A-Fa-f]{4})?\r?\n")
_LONGEST_TAIL = 6  # bytes behind the !: the checksum, CR, LF
_STX = "\x02"  # some put the values between STX and ETX, as if they had been asked
_FORMATS = {"d0": "9600 7E1", "p1": "115200 8N1"}


class D0Settings(Settings):
    """Where the meter is heard, and how to read it."""

    interface: Literal["d0", "p1"] = Field(
        default="d0",
        description="`d0`: the infrared window, 9600 7E1. `p1`: the P1 port, 115200 8N1; a telegram must "
        "then have its checksum.",
    )
    obis: Mapping[str, str] = Field(
        default={},
        description="Further channels by OBIS code, such as `1.8.5 = energy_import_t5`; an empty name leaves "
        "out a usual one.",
    )


class D0Meter:
    """Energy and power, and what else the meter tells."""

    def __init__(self, settings: D0Settings) -> None:
        self._needs_checksum = settings.interface == "p1"
        self._meanings = obis.meanings(settings.obis)
        self.channels = [Channel(*meaning, optional=True) for meaning in obis.channels(self._meanings)]

    def decode(self, frame: bytes) -> Sequence[Sample]:
        """Turn one telegram into samples; one without a known value is NotMine."""
        frame = seven_bits(frame)
        end = frame.find(_END)
        tail = _CHECKSUM.fullmatch(frame, end + 1)
        if not frame.startswith(_BEGIN) or end < 0 or not tail:
            raise Garbled(f"{len(frame)} bytes that are no telegram: {frame[:16]!r}")
        if tail[1] is None and self._needs_checksum:
            raise Garbled("no checksum; a P1 port before DSMR 4 has none: set interface = d0, and 9600 7E1")
        if not _is_sound(frame[: end + 1], tail[1]):
            raise Garbled("checksum")
        _, _, lines = frame[:end].decode("ascii").partition("\n")
        if found := samples(read(lines.replace(_STX, "")), self._meanings):
            return found
        raise NotMine("a telegram without a known value")


def _is_sound(told: bytes, checksum: bytes | None) -> bool:
    return checksum is None or int(checksum, 16) == _arc(told)


def _arc(told: bytes) -> int:
    """Return the CRC-16/ARC, polynomial 0x8005, mirrored."""
    crc = 0
    for byte in told:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def cut(heard: bytes) -> Frame | Need | Skip:
    """Find a telegram in the bytes so far. Where it has a checksum, that belongs to it."""
    heard = seven_bits(heard)
    begin = heard.find(_BEGIN)
    if begin:
        return Skip(begin if begin > 0 else len(heard))
    again, end = heard.find(_BEGIN, 1), heard.find(_END)
    if again > 0 and not 0 <= end < again:
        return Skip(again)  # another telegram begins: this one lost its end
    if end < 0:
        return Need(len(heard) + 2) if len(heard) < LONGEST else Skip(1)
    tail = _CHECKSUM.match(heard, end + 1)
    if tail:
        return Frame(tail.end()) if _is_sound(heard[: end + 1], tail[1]) else Skip(1)
    return Need(len(heard) + 1) if len(heard) - end <= _LONGEST_TAIL else Skip(1)


driver = Driver(
    title="Electricity meter that sends text: D0 or P1",
    home=__name__,
    over=Over.STREAM,
    settings=D0Settings,
    open=D0Meter,
    serial=lambda settings: _FORMATS[settings.interface],
    cut=cut,
    probe=Probe(candidates=lambda _: (D0Settings(), D0Settings(interface="p1"))),
)
