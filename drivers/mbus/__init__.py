"""Meters on an M-Bus, of electricity, heat, water or climate, asked by their primary address.

EN 13757-2:2018 and EN 13757-3:2018. A reading is: initialise (answered with E5), then REQ_UD2 with the frame
count bit in turn, for as long as the meter says that there is more. The answers with variable data, kind
72, begin with 12 bytes: number (4), maker (2), version, medium, access, status, configuration (2).
"""

import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from drivers.mbus.link import ACK, Answer, asked, cut_ack, cut_answer, initialise, parse, read
from drivers.mbus.meaning import channels, meant
from drivers.mbus.record import records
from edge_agent.driver import Driver, Garbled, Implausible, Line, Over, Refused, Sample, Settings, quantity_of

_WITHIN = 1.2  # seconds; 330 bit times and 50 ms, EN 13757-2, 5.7.4, which at 300 baud are 1.15
_VARIABLE = 0x72
_HEAD = struct.Struct("<4xH3xBH")
_BUSY = 1  # of the two lowest bits of the status
_MODE = 0x1F00  # of the configuration: how the data is encrypted
_MOST_ANSWERS = 16
_LETTERS = 5  # bits of each letter of a maker


def _is_head(written: str) -> bool:
    try:
        return bool(bytes.fromhex(written))
    except ValueError:
        return False


def _heads(own: Mapping[str, str]) -> Mapping[str, str]:
    for head, channel in own.items():
        if not _is_head(head):
            raise ValueError(f"{head!r} is no hex; write the bytes before the value, such as 02FDC9FF01")
        if channel:
            quantity_of(channel)
    return own


class MBusSettings(Settings):
    """Which meter, and what it tells."""

    address: int = Field(
        ge=0, le=254, description="Primary address, 1 to 250 as set at the meter; 0 is a new one's. 254 asks "
        "a meter that is alone on its bus.",
    )  # fmt: skip
    records: Annotated[Mapping[str, str], AfterValidator(_heads)] = Field(
        default={},
        description="Further channels by the bytes of a record before its value, such as "
        "`02FDC9FF01 = voltage_pv`; an empty name leaves a record out.",
    )


class MBusMeter:
    """What a meter counts and measures now."""

    def __init__(self, settings: MBusSettings) -> None:
        if settings.address in {251, 252, 253}:
            raise ValueError(f"{settings.address} is no meter's address; give 0 to 250, or 254")
        self._address = settings.address
        self._own = {bytes.fromhex(head): channel for head, channel in settings.records.items()}
        self.channels = channels(settings.records)
        self._names = {channel.name for channel in self.channels}

    async def poll(self, line: Line) -> Sequence[Sample]:
        """Begin anew, then ask until the meter has no more to tell."""
        await line.exchange(initialise(self._address), cut_ack, within=_WITHIN)
        values = dict[str, Sample]()
        for number in range(_MOST_ANSWERS):
            frame = await line.exchange(
                read(self._address, number), cut_answer(self._address), within=_WITHIN
            )
            found, more = self._read(parse(frame, self._address))
            values = {sample.channel: sample for sample in found} | values
            if not more:
                break
        if not values:
            raise Implausible("it tells no value that is known; name the records you want in `records`")
        return list(values.values())

    def decode(self, frame: bytes, request: bytes) -> Sequence[Sample]:
        """Turn one answer into samples; an acknowledgement has none."""
        for_answer, address = asked(request)
        if for_answer:
            return self._read(parse(frame, address))[0]
        if frame != ACK:
            raise Garbled(f"{frame[:8].hex(' ') or 'nothing'} is no acknowledgement")
        return []

    def _read(self, answer: Answer) -> tuple[list[Sample], bool]:
        if answer.kind != _VARIABLE or len(answer.told) < _HEAD.size:
            raise Refused(f"its answer is of kind {answer.kind:02x}; only variable data, 72, is read")
        maker, status, configuration = _HEAD.unpack_from(answer.told)
        if configuration & _MODE:
            raise Refused("its data is encrypted, which this driver does not read; have that turned off")
        found, more = records(answer.told[_HEAD.size :])
        values = dict[str, Decimal | None]()
        for record in found:
            try:
                meaning = meant(record, _letters(maker), self._own)
            except ValueError as error:
                raise Implausible(str(error)) from error
            if meaning is not None and meaning[0] in self._names:
                values.setdefault(*meaning)
        if not values and status & 3 == _BUSY:
            raise Refused("it is busy; ask it less often")
        return [Sample(name, None if value is None else float(value)) for name, value in values.items()], more


def _letters(maker: int) -> str:
    return "".join(chr(64 + (maker >> shift & 0x1F)) for shift in (2 * _LETTERS, _LETTERS, 0))


driver = Driver(
    title="M-Bus meter",
    home=__name__,
    over=Over.LINE,
    settings=MBusSettings,
    open=MBusMeter,
    serial=lambda _: "2400 8E1",
)
