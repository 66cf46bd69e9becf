"""One RS-485 pair with twenty devices and everything that goes wrong on it, by a seeded chance.

Modbus units 1 to 10 and DL/T 645 meters 1 to 10 share it. Each answer says who gives it and to what, so that
an answer that is taken for another is seen.
"""

import asyncio
import random
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from drivers.dlt645 import frame as dlt645
from edge_agent.bus import modbus
from edge_agent.driver import Channel, Garbled, Line, Quantity, Read, Registers, Sample

UNITS = METERS = 10
BAUD = 9600
BYTE = 10 / BAUD
_CHANNELS = (Channel("count", Quantity.COUNT),)
_MOST_HELD = 64
_APART = 0.0005  # seconds between two pieces, so that none overtakes another
_LATE = (1.02, 1.9)  # seconds: more than an answer may take, less than the line waits for it


@dataclass
class Cabinet:
    """All devices. ``say`` puts bytes on the wire; ``byte`` is the time each takes if the wire takes none."""

    say: Callable[[bytes], None]
    seed: int
    echo: bool = False
    byte: float = 0.0
    dead: frozenset[str] = frozenset({"unit 3", "unit 8", "meter 5"})
    late: tuple[float, float] = _LATE
    did: Counter[str] = field(default_factory=Counter)
    _heard: bytes = b""

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._loop = asyncio.get_running_loop()

    def hear(self, piece: bytes) -> None:
        """Take what the master sends."""
        if self.echo:
            self.say(piece)
        self._heard = (self._heard + piece)[-_MOST_HELD:]
        for at in range(len(self._heard)):
            answer = self._asked(self._heard[at:])
            if answer is not None:
                self._heard = b""
                self._answer(*answer, len(piece))
                return

    def _asked(self, rest: bytes) -> tuple[str, bytes] | None:
        try:
            read = modbus.read_request(rest)
        except Garbled:
            pass
        else:
            return (f"unit {read.unit}", unit_says(read)) if read.unit <= UNITS else None
        try:
            question = dlt645.read_request(rest)
        except Garbled:
            return None
        return f"meter {int(question.address)}", meter_says(question)

    def _answer(self, who: str, answer: bytes, asked: int) -> None:
        chance = self._chance
        thinks = chance.uniform(0.005, 0.02) if who.startswith("unit") else chance.uniform(0.02, 0.08)
        if who.startswith("meter"):
            answer = b"\xfe" * chance.choice([0, 0, 2, 4]) + answer
        fate = chance.random()
        if who in self.dead:
            if fate > 0.4:
                return self._count("silent")
            thinks = chance.uniform(*self.late)
            self._count("late, of the dead")
        elif fate < 0.01:
            thinks = chance.uniform(*self.late)
            self._count("late")
        elif fate < 0.02:
            at = chance.randrange(len(answer))
            answer = answer[:at] + bytes([answer[at] ^ 1 << chance.randrange(8)]) + answer[at + 1 :]
            self._count("a bit turned")
        elif fate < 0.03:
            answer = answer[: chance.randrange(1, len(answer))]
            self._count("half")
        elif fate < 0.1:
            answer = chance.choice([b"\x00", b"\xff", b"\x00\xff\x55"]) + answer + b"\x00"
            self._count("noise around")
        self._speak(self._loop.time() + asked * self.byte + thinks, answer)
        return None

    def _speak(self, at: float, answer: bytes) -> None:
        """Say it in pieces: now and then with pauses between them."""
        pieces = sorted({0, len(answer), *self._chance.choices(range(len(answer)), k=2)})
        for begin, end in pairwise(pieces):
            at += max((end - begin) * self.byte, _APART)
            if self._chance.random() < 0.05:
                at += self._chance.uniform(0, 0.1)
                self._count("a pause inside")
            self._loop.call_at(at, self.say, answer[begin:end])

    async def noise(self, least: float, most: float) -> None:
        """Disturb the wire for ever, each so many seconds."""
        while True:
            await asyncio.sleep(self._chance.uniform(least, most))
            if self._chance.random() < 0.5:
                self._count("noise")
                self.say(self._chance.randbytes(self._chance.randrange(1, 40)))
                continue
            self._count("another master")  # asks, and is answered
            read = Read(self._chance.randrange(1, UNITS + 1), "holding", self._chance.randrange(200), 2)
            self.say(modbus.request(read))
            self._speak(self._loop.time() + 8 * self.byte + self._chance.uniform(0.01, 0.1), unit_says(read))

    def _count(self, what: str) -> None:
        self.did[what] += 1


def unit_says(read: Read) -> bytes:
    """Return a unit's answer: its address and the register asked, twice two bytes."""
    data = struct.pack(">HH", read.unit, read.start)
    body = bytes([read.unit, 3, len(data)]) + data
    return body + modbus.crc16(body).to_bytes(2, "little")


def meter_says(question: dlt645.Question) -> bytes:
    """Return a meter's answer: its number and the identifier's low byte as data."""
    data = bytes([int(question.address), int(question.item[-2:], 16)])
    said = bytes.fromhex(question.item)[::-1] + data
    body = b"\x68" + bytes.fromhex(question.address)[::-1] + b"\x68" + bytes([0x91, len(said)])
    body += bytes((byte + 0x33) % 256 for byte in said)
    return body + bytes([sum(body) % 256]) + b"\x16"


@dataclass
class Asked:
    """A device's driver, that asks for something else each time and sees whether it gets that."""

    name: str
    chance: random.Random
    channels: Sequence[Channel] = _CHANNELS
    well: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def number(self) -> int:
        return int(self.name.split()[1])

    async def poll(self, line: Any) -> Sequence[Sample]:
        """Ask once or twice."""
        for _ in range(self.chance.choice([1, 1, 1, 2])):
            at = self.chance.randrange(200)
            heard = await (self._unit if self.name.startswith("unit") else self._meter)(line, at)
            if heard != (self.number, at):
                self.wrong.append(f"{self.name} asked for {at} and heard {heard}")
            self.well += 1
        return [Sample("count", self.well)]

    async def _unit(self, registers: Registers, at: int) -> tuple[int, ...]:
        return struct.unpack(">HH", await registers.read(Read(self.number, "holding", at, 2)))

    async def _meter(self, line: Line, at: int) -> tuple[int, ...]:
        question = dlt645.Question(f"{self.number:012}", dlt645.Command.READ, f"020101{at:02X}")
        cut = dlt645.answer_cut(question)
        answer = await line.exchange(dlt645.request(question), cut, within=0.5)
        return tuple(dlt645.parse(question, answer).data)

    def decode(self, frame: bytes, request: object) -> Sequence[Sample]:
        """Part of the contract; nothing here needs it."""
        raise NotImplementedError
