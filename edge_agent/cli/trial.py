"""Try a profile without a device: its driver polls the profile's vectors, and the values are compared."""

import asyncio
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from edge_agent.bus.framing import Framer
from edge_agent.bus.serial import SerialFormat
from edge_agent.cli.page import sample_settings
from edge_agent.contract.messages import RESERVED_CHANNELS
from edge_agent.driver import (
    Answerer,
    Channel,
    Cut,
    Driver,
    Fault,
    NoAnswer,
    Over,
    ProfileError,
    Read,
    profile_text,
)

_USUAL_SERIAL = "9600 8N1"  # where the profile has none
_TURN_ROUND = 0.05  # seconds: a device's thinking and the silences on both sides
_AROUND = 13  # bytes of a Modbus request, and around its answer's data; MODBUS over Serial Line V1.02, 2.5.1
_ADDRESS = 7  # the device's in a vector, where requests are written out
_BIT_TABLES = ("coil", "discrete")
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class Poll:
    """What reading everything once takes: the requests, bytes on the line in both directions, seconds."""

    serial: str
    requests: tuple[str, ...]
    size: int
    seconds: float


@dataclass(slots=True)
class Trial:
    """What was found. ``vectors`` has what is wrong with each, ``remarks`` what a person should look at."""

    driver: str
    name: str
    file: str
    title: str = ""
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    vectors: dict[str, list[str]] = field(default_factory=dict)
    poll: Poll | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not any(self.vectors.values())

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return {"ok": self.ok} | asdict(self)

    def lines(self) -> Iterator[str]:
        """Tell it to a person."""
        yield f"{self.name}, profile of driver {self.driver}: {self.title or 'cannot be used'}"
        yield from (f"  WRONG  {problem}" for problem in self.problems)
        for vector, wrong in self.vectors.items():
            yield f"  WRONG  {vector}: {'; '.join(wrong)}" if wrong else f"  ok     {vector}"
        yield from (f"  look   {remark}" for remark in self.remarks)
        if poll := self.poll:
            count = f"{len(poll.requests)} request{'' if len(poll.requests) == 1 else 's'}"
            yield f"  a poll takes {count}, {poll.size} bytes, about {poll.seconds:.2f} s at {poll.serial}"
            yield from (f"    {request}" for request in poll.requests)
        yield "in order" if self.ok else "not in order"


class _Memory:
    """A device whose registers are a vector's image; what is not in it reads as zero."""

    def __init__(self, vector: Mapping[str, Any]) -> None:
        self._asked: list[Read] = []
        self._words: dict[tuple[str, int], bytes] = {}
        self._bits: dict[tuple[str, int], int] = {}
        for table in ("input", "holding", *_BIT_TABLES):
            for at, text in vector.get(table, {}).items():
                self._hold(table, int(at, 0), bytes.fromhex(text))

    def _hold(self, table: str, at: int, image: bytes) -> None:
        if table in _BIT_TABLES:
            bits = int.from_bytes(image, "little")
            self._bits |= {(table, at + place): bits >> place & 1 for place in range(8 * len(image))}
        else:
            self._words |= {(table, at + place): image[2 * place :][:2] for place in range(len(image) // 2)}

    async def read(self, question: Read) -> bytes:
        self._asked.append(question)
        cells = [(question.table, question.start + offset) for offset in range(question.count)]
        if question.table in _BIT_TABLES:
            bits = sum(self._bits.get(cell, 0) << place for place, cell in enumerate(cells))
            return bits.to_bytes(-(-question.count // 8), "little")
        return b"".join(self._words.get(cell, b"\0\0") for cell in cells)

    def requests(self) -> list[tuple[str, int]]:
        """Return what was asked, each with its bytes on the line."""
        sizes = [-(-ask.count // 8) if ask.table in _BIT_TABLES else 2 * ask.count for ask in self._asked]
        return [
            (f"{ask.table} 0x{ask.start:04X} to 0x{ask.start + ask.count - 1:04X}", size + _AROUND)
            for ask, size in zip(self._asked, sizes, strict=True)
        ]


class _Script:
    """A line on which each request of a vector has its response."""

    def __init__(self, vector: Mapping[str, Any]) -> None:
        self._asked: list[bytes] = []
        self._says = {
            bytes.fromhex(said["request"]): bytes.fromhex(said["response"]) for said in vector.get("says", [])
        }

    async def exchange(self, request: bytes, cut: Cut, **_: object) -> bytes:
        self._asked.append(request)
        frames = Framer(cut).feed(self._says.get(request, b""))
        if not frames:
            raise NoAnswer(f"the vector has no whole response to {request.hex(' ').upper()}")
        return frames[0]

    def requests(self) -> list[tuple[str, int]]:
        """Return what was asked, each with its bytes on the line."""
        return [(ask.hex(" ").upper(), len(ask) + len(self._says.get(ask, b""))) for ask in self._asked]


def try_profile(name: str, record: Driver[Any], profile: str) -> Trial:
    """Try a profile of a driver, given by its name or path. Whatever is wrong with it is in the result."""
    trial = Trial(name, Path(profile).stem, profile)
    address = {"address": _ADDRESS} if "address" in record.settings.model_fields else {}
    settings = record.settings.model_validate(sample_settings(record) | {"profile": profile} | address)
    try:
        device = cast("Answerer[Any, Any]", record.open(settings))
        facts = tomllib.loads(profile_text(name, profile))
    except ProfileError as error:
        trial.problems += map(str, error.problems)
        return trial
    except ValueError as error:
        trial.problems.append(str(error))
        return trial
    trial.title = facts["title"]
    trial.remarks += _remarks(trial.name, facts, device.channels)
    trial.problems += [
        f"channel {channel.name!r} has a name that is reserved in MQTT; give it another one"
        for channel in device.channels
        if channel.name in RESERVED_CHANNELS
    ]
    vectors = facts.get("vector", [])
    if not vectors:
        trial.problems.append("there is no [[vector]]; add what a device answered, and what it means")
    for vector in vectors or [{"expect": {}}]:
        bench = (_Script if record.over is Over.LINE else _Memory)(vector)
        wrong = list(_wrong(vector, device, bench))
        trial.poll = trial.poll or _poll(record.serial(settings) or _USUAL_SERIAL, bench.requests())
        if vectors:
            trial.vectors[vector["name"]] = wrong
    return trial


def _wrong(vector: Mapping[str, Any], device: Answerer[Any, Any], bench: _Memory | _Script) -> Iterator[str]:
    try:
        samples = asyncio.run(device.poll(bench))
    except Fault as fault:
        yield str(fault)
        return
    told = {sample.channel: sample.value for sample in samples}
    wanted = vector["expect"] | dict.fromkeys(vector.get("unknown", []))
    for channel in device.channels:
        value, quantity = told.get(channel.name), channel.quantity
        if channel.name not in wanted:
            yield f"{channel.name} is {value}, and neither in expect nor in unknown"
        elif value != wanted[channel.name] or isinstance(value, bool) is not isinstance(
            wanted[channel.name], bool
        ):
            yield f"{channel.name} is {value}, expected {wanted[channel.name]}"
        elif isinstance(value, float | int) and not _plausible(value, quantity.low, quantity.high):
            yield f"{channel.name} is {value}, which is not plausible: {quantity.low} to {quantity.high}"
    for missing in sorted(wanted.keys() - {channel.name for channel in device.channels}):
        yield f"there is no channel {missing}"
    asked = len(bench.requests())
    if vector.get("requests", asked) != asked:
        yield f"the poll takes {asked} requests, expected {vector['requests']}"


def _plausible(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)


def _remarks(name: str, facts: Mapping[str, Any], channels: Sequence[Channel]) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield f"its name {name!r} is not <vendor>_<model> in lower case"
    for channel in channels:
        if not f"{channel.name}_".startswith(f"{channel.quantity}_"):
            yield f"channel {channel.name} is not named after its quantity, {channel.quantity}"
    if facts.get("unconfirmed"):
        yield f"not confirmed: {' '.join(facts['unconfirmed'].split())}"


def _poll(serial: str, requests: Sequence[tuple[str, int]]) -> Poll:
    line = SerialFormat.parse(serial)
    size = sum(length for _, length in requests)
    bits = 1 + line.data_bits + (line.parity != "N") + line.stop_bits
    seconds = size * bits / line.baud + _TURN_ROUND * len(requests)
    return Poll(serial, tuple(what for what, _ in requests), size, round(seconds, 3))
