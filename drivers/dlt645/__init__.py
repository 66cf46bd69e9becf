"""Energy meters that speak DL/T 645, in the editions of 2007 and 1997, each described by a profile.

DL/T 645-2007, 7.1 to 7.3 (read data, subsequent data, address) and annex A (data items); DL/T 645-1997, the
same with the commands 01 and 02. Nothing is ever set, cleared or switched: ``frame.Command`` has no such
code.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from drivers.dlt645.frame import (
    MOST_PREAMBLE,
    Answer,
    Command,
    Question,
    answer_cut,
    cut,
    parse,
    read_request,
    request,
)
from drivers.dlt645.profile import Item, Profile, load, place
from edge_agent.driver import (
    Channel,
    CtRatio,
    Driver,
    Fault,
    Garbled,
    Line,
    NoAnswer,
    NotMine,
    Over,
    Probe,
    PtRatio,
    Refused,
    Sample,
    Settings,
    ratios,
)

_WITHIN = 0.75  # seconds; a meter answers after 20 to 500 ms; DL/T 645-2007, 5.3.3
_MOST_PARTS = 16  # of one answer, 200 bytes each
_ASK_AGAIN = 100  # polls until a meter is asked again for what it refused
_END_OF_BLOCK = b"\xaa"  # some meters of 1997 say it behind a block's values; it is no digit
_COMMANDS = {2007: (Command.READ, Command.MORE), 1997: (Command.READ_1997, Command.MORE_1997)}
_ADDRESS_DIGITS = 12
_ANYBODY, _EVERYBODY = "AA" * 6, "99" * 6


def _padded(written: object) -> object:
    """Write an address with all of its digits; the standard pads a short one with zeros."""
    if isinstance(written, int) and not isinstance(written, bool):
        written = str(written)
    return written.upper().zfill(_ADDRESS_DIGITS) if isinstance(written, str) and written else written


def _checked(address: str) -> str:
    known = address.lstrip("A")
    unknown = len(address) - len(known)
    whole = len(address) == _ADDRESS_DIGITS and unknown % 2 == 0
    if not whole or (known and not (known.isascii() and known.isdecimal())):
        raise ValueError(
            "is no meter address; write its 12 digits, or AA for each leading pair that is not known"
        )
    if address == _EVERYBODY:
        raise ValueError("is the broadcast address, which nobody answers; write the meter's own")
    return address


class MeterSettings(Settings):
    """Which meter, and where on the bus."""

    profile: str = Field(description="The meter model: the name of a profile.")
    address: Annotated[str, BeforeValidator(_padded), AfterValidator(_checked)] = Field(
        description="The 12 digits on the meter's label. AA stands for two leading digits that are not "
        "known, as in AAAAAAAA4194; AAAAAAAAAAAA asks a meter that is alone on its bus."
    )
    ct_ratio: CtRatio = 1.0
    pt_ratio: PtRatio = 1.0
    preamble: int = Field(
        default=MOST_PREAMBLE,
        ge=0,
        le=MOST_PREAMBLE,
        description="How many bytes FE wake the meter before each request.",
    )


class _Ask(NamedTuple):
    """An identifier that is asked for, with the items in its answer by their place."""

    item: str
    items: Mapping[int, Item]


class Meter:
    """A meter on a bus, described by a profile.

    It counts the polls since the meter refused an item or a block, so as not to ask in vain each time.
    """

    def __init__(self, settings: MeterSettings, profile: Profile) -> None:
        self._address, self._preamble = settings.address, settings.preamble
        self._read_command, self._more_command = _COMMANDS[profile.edition]
        self._ratios = ratios(
            settings.ct_ratio,
            settings.pt_ratio,
            profile=settings.profile,
            used={entry.ratio for entry in profile.channels},
        )
        self._singles = {entry.item: _Ask(entry.item, {0: entry}) for entry in profile.channels}
        self._blocks = {ask.item: ask for ask in _blocks(profile)}
        self._pauses = Counter[str]()
        self.channels = [
            Channel(entry.name, entry.quantity, entry.label, label_zh=entry.label_zh)
            for entry in profile.channels
        ]

    async def poll(self, line: Line) -> Sequence[Sample]:
        """Ask for every block and for every item that is in none; what the meter refuses is not known.

        Raises Refused when it refuses everything.
        """
        values = dict[str, Sample]()
        refusals = list[Refused]()
        answered = False
        in_blocks = {entry.item for ask in self._blocks.values() for entry in ask.items.values()}
        asks = [
            *self._blocks.values(),
            *(ask for item, ask in self._singles.items() if item not in in_blocks),
        ]
        while asks:
            ask = asks.pop(0)
            found = await self._fetch(line, ask, refusals)
            answered = answered or found is not None
            values |= {sample.channel: sample for sample in found or ()}
            missing = [entry for entry in ask.items.values() if entry.name not in values]
            if ask.item in self._blocks:
                asks += [self._singles[entry.item] for entry in missing]
            else:
                values |= {entry.name: Sample(entry.name, None) for entry in missing}
        if not answered:
            self._pauses.clear()
            raise refusals[0]
        return [values[channel.name] for channel in self.channels]

    async def _fetch(self, line: Line, ask: _Ask, refusals: list[Refused]) -> Sequence[Sample] | None:
        """Return what the meter answers, None if it refuses or did so lately."""
        if self._pauses[ask.item]:
            self._pauses[ask.item] -= 1
            return None
        try:
            return self._samples(ask, await self._read(line, ask.item))
        except Refused as refusal:
            refusals.append(refusal)
            self._pauses[ask.item] = _ASK_AGAIN
            return None

    async def _read(self, line: Line, item: str) -> bytes:
        """Return an item's data, however many frames it comes in."""
        answer = await _exchange(line, Question(self._address, self._read_command, item), self._preamble)
        data, part = answer.data, 0
        while answer.more:
            part += 1
            if part == _MOST_PARTS:
                raise Garbled(f"an answer about {item} that does not end after {_MOST_PARTS} frames")
            question = Question(self._address, self._more_command, item, part)
            answer = await _exchange(line, question, self._preamble)
            data += answer.data
        return data

    def decode(self, frame: bytes, request: bytes) -> Sequence[Sample]:
        """Turn the answer to a request into samples."""
        asked = read_request(request)
        answer = parse(asked, frame)
        ask = self._blocks.get(asked.item) or self._singles.get(asked.item)
        if ask is None or asked.command is self._more_command or answer.more:
            raise NotMine(
                "the address of a meter"
                if not asked.item
                else f"{asked.item}, or this part of it, is no channel"
            )
        return self._samples(ask, answer.data)

    def _samples(self, ask: _Ask, data: bytes) -> list[Sample]:
        """Return the samples of the items that the data has; a block may end before its last items."""
        size = next(iter(ask.items.values())).size
        if ask.item in self._blocks and len(data) % size == 1:
            data = data.removesuffix(_END_OF_BLOCK)
        if not data or len(data) % size or (ask.item in self._singles and len(data) != size):
            raise Garbled(f"{len(data)} bytes of data for {ask.item}, whose values have {size}")
        return [
            Sample(entry.name, entry.value(data[at * size : (at + 1) * size], self._ratios[entry.ratio]))
            for at, entry in ask.items.items()
            if (at + 1) * size <= len(data)
        ]


def _blocks(profile: Profile) -> Iterator[_Ask]:
    """Return the blocks that spare a question: those with two channels or more."""
    for block, first in profile.blocks.items():
        places = ((place(block, first, entry.item), entry) for entry in profile.channels)
        items = {at: entry for at, entry in places if at is not None}
        if len(items) > 1:
            yield _Ask(block, items)


async def _exchange(line: Line, question: Question, preamble: int = MOST_PREAMBLE) -> Answer:
    said = await line.exchange(request(question, preamble), answer_cut(question), within=_WITHIN)
    return parse(question, said)


async def _search(line: Line) -> Iterable[MeterSettings]:
    """Ask whoever is there for the address: by the command for it, which came in 2007, else with a reading.

    Where several meters are on the bus they answer all at once, and what is heard is garbled.
    """
    for question in (
        Question(_ANYBODY, Command.READ_ADDRESS),
        Question(_ANYBODY, Command.READ_1997, "9010"),
    ):
        try:
            answer = await _exchange(line, question)
        except (NoAnswer, Refused):
            continue
        address = answer.address if question.item else answer.data[::-1].hex()
        phases = "three" if await _has_phase_b(line, question.command.edition) else "single"
        try:
            return [MeterSettings(profile=f"dlt645_{question.command.edition}_{phases}", address=address)]
        except ValueError as error:
            raise Garbled(f"a meter whose address is {address}, which are no digits") from error
    return []


def _overheard(request: bytes, answer: bytes) -> Iterator[MeterSettings]:
    """Name a meter that another master reads, from what it was asked and what it answered."""
    try:
        question = read_request(request)
        address = parse(question, answer).address
        yield MeterSettings(profile=f"dlt645_{question.command.edition}_three", address=address)
    except (Fault, ValueError):
        return


async def _has_phase_b(line: Line, edition: int) -> bool:
    """Tell whether whoever is there measures a voltage of phase B."""
    item = "02010200" if edition == 2007 else "B612"  # noqa: PLR2004 - the editions are named by their years
    try:
        answer = await _exchange(line, Question(_ANYBODY, _COMMANDS[edition][0], item))
    except (NoAnswer, Garbled, Refused):
        return False
    return any(byte not in {0x00, 0xFF} for byte in answer.data)


driver = Driver(
    title="DL/T 645 energy meter",
    home=__name__,
    over=Over.LINE,
    settings=MeterSettings,
    open=lambda settings: Meter(settings, load(settings.profile)),
    serial=lambda settings: load(settings.profile).serial,
    model=lambda settings: load(settings.profile).title,
    cut=cut,
    probe=Probe(
        formats=("2400 8E1", "9600 8E1", "1200 8E1", "4800 8E1", "9600 8N1"),
        search=_search,
        within=4.0,
        overheard=_overheard,
    ),
)
