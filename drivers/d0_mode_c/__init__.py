r"""Electricity meters that are asked through an infrared head: IEC 62056-21, mode C, data readout.

IEC 62056-21:2002, 6.3 and 6.4.3. It begins at 300 7E1, and the meter offers a speed Z in its identification:

    /? address ! CR LF                   sign on
    / XXX Z identification CR LF         the meter: maker, speed, model
    06 30 Z 30 CR LF                     read out, at that speed
    02 lines of values ! CR LF 03 BCC    the meter, at that speed

BCC is the exclusive or of all behind 02, with 03, in seven bits.
"""

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Annotated

from pydantic import Field

from drivers.d0.telegram import LONGEST, read, samples, seven_bits
from edge_agent.driver import (
    Channel,
    Driver,
    Frame,
    Garbled,
    Implausible,
    Line,
    Need,
    Over,
    Refused,
    Sample,
    Settings,
    Skip,
    form,
    obis,
)

_SIGN_ON_SPEED = 300
_SPEEDS = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
_WITHIN = 2.0  # seconds; a meter answers within 1.5; 6.3.14
_SIGN_ON, _READ_OUT = b"/?", b"\x060"
_STX, _ETX = b"\x02", b"\x03"
_LONGEST_IDENTIFICATION = 40  # bytes: 5, then 16 or a few more, CR LF
_IDENTIFICATION = re.compile(rb"/[A-Za-z]{3}([0-9A-I])[^/!\r\n]*\r\n")


class ModeCSettings(Settings):
    """Which meter, and how to read it."""

    address: Annotated[
        str, form(r"[0-9A-Za-z ]{0,32}", "is no address; write at most 32 digits and letters")
    ] = Field(
        default="",
        description="The meter's own address, where several share a bus; empty asks the one that is there.",
    )
    stay_slow: bool = Field(
        default=False, description="Read out at 300 baud, for a head that cannot follow the change of speed."
    )
    obis: Mapping[str, str] = Field(
        default={},
        description="Further channels by OBIS code, such as `1.8.5 = energy_import_t5`; an empty name leaves "
        "out a usual one.",
    )


class ModeCMeter:
    """Energy and power, and what else the meter tells."""

    def __init__(self, settings: ModeCSettings) -> None:
        self._sign_on = b"/?" + settings.address.encode("ascii") + b"!\r\n"
        self._stay_slow = settings.stay_slow
        self._meanings = obis.meanings(settings.obis)
        self.channels = [Channel(*meaning, optional=True) for meaning in obis.channels(self._meanings)]

    async def poll(self, line: Line) -> Sequence[Sample]:
        """Sign on, take the speed that the meter offers, and read it out."""
        told = await line.exchange(self._sign_on, cut_identification, within=_WITHIN, speed=_SIGN_ON_SPEED)
        offered = _speed_code(told)
        code = "0" if self._stay_slow else offered
        asked = _READ_OUT + code.encode("ascii") + b"0\r\n"
        block = await line.exchange(
            asked,
            cut_block,
            within=_WITHIN,
            speed=_SIGN_ON_SPEED,
            answer_speed=_SPEEDS[code],
            longest=LONGEST,
        )
        return self.decode(block, asked)

    def decode(self, frame: bytes, request: bytes) -> Sequence[Sample]:
        """Turn a data block into samples; an identification has none."""
        frame = seven_bits(frame)
        if request.startswith(_SIGN_ON):
            _speed_code(frame)
            return []
        if not request.startswith(_READ_OUT):
            raise Garbled(f"{request[:8].hex(' ')} is no question of this driver")
        if not frame.startswith(_STX) or frame[-2:-1] != _ETX:
            raise Garbled(f"{len(frame)} bytes that are no data block: {frame[:16]!r}")
        if _bcc(frame) != frame[-1]:
            raise Garbled(f"checksum {frame[-1]:02x}, expected {_bcc(frame):02x}")
        lines, end, _ = frame[1:-2].decode("ascii").partition("!")
        if not end:
            raise Garbled("a data block without its end")
        if found := samples(read(lines), self._meanings):
            return found
        raise Implausible("it tells no value that is known; name the codes of those you want in `obis`")


def _speed_code(told: bytes) -> str:
    """Return the speed that a meter offers, by its code."""
    match = _IDENTIFICATION.fullmatch(seven_bits(told))
    if not match:
        raise Garbled(f"{told[:16]!r} is no identification")
    code = match[1].decode("ascii")
    if code not in _SPEEDS:
        raise Refused(f"it speaks mode A or B (its speed is {code!r}), which cannot be asked for here")
    return code


def _bcc(block: bytes) -> int:
    return reduce(xor, block[1:-1], 0)


def cut_identification(heard: bytes) -> Frame | Need | Skip:
    """Find an identification: the last beginning before an end of line, and not the question's echo."""
    heard = seven_bits(heard)
    begin = heard.find(b"/")
    if begin:
        return Skip(begin if begin > 0 else len(heard))
    end = heard.find(b"\n")
    if end < 0:
        return Need(len(heard) + 1) if len(heard) < _LONGEST_IDENTIFICATION else Skip(1)
    return Frame(end + 1) if _IDENTIFICATION.fullmatch(heard[: end + 1]) else Skip(1)


def cut_block(heard: bytes) -> Frame | Need | Skip:
    """Find a data block. Its checksum belongs to it."""
    heard = seven_bits(heard)
    begin = heard.find(_STX)
    if begin:
        return Skip(begin if begin > 0 else len(heard))
    end = heard.find(_ETX)
    if end < 0:
        return Need(len(heard) + 2) if len(heard) < LONGEST - 1 else Skip(1)
    size = end + 2
    if len(heard) < size:
        return Need(size)
    return Frame(size) if _bcc(heard[:size]) == heard[size - 1] else Skip(1)


driver = Driver(
    title="Electricity meter that is asked: IEC 62056-21 mode C",
    home=__name__,
    over=Over.LINE,
    settings=ModeCSettings,
    open=ModeCMeter,
    serial=lambda _: "300 7E1",
)
