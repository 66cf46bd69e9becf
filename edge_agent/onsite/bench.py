"""A device without a wire, made of a vector: what it is asked, and what reading all of it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.bus.framing import Framer
from edge_agent.bus.serial import SerialFormat
from edge_agent.driver import Cut, NoAnswer, Read

_TURN_ROUND = 0.05  # seconds: a device's thinking and the silences on both sides
_AROUND = 13  # bytes of a Modbus request, and around its answer's data; MODBUS over Serial Line V1.02, 2.5.1
_BIT_TABLES = ("coil", "discrete")


@dataclass(frozen=True, slots=True)
class Poll:
    """What reading everything once takes: the requests, bytes on the line in both directions, seconds."""

    serial: str
    requests: tuple[str, ...]
    size: int
    seconds: float


class Memory:
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
        """Answer as the device would."""
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


class Script:
    """A line on which each request of a vector has its response."""

    def __init__(self, vector: Mapping[str, Any]) -> None:
        self._asked: list[bytes] = []
        self._says = {
            bytes.fromhex(said["request"]): bytes.fromhex(said["response"]) for said in vector.get("says", [])
        }

    async def exchange(self, request: bytes, cut: Cut, **_: object) -> bytes:
        """Answer what a vector answers.

        Raises:
            NoAnswer: no vector has this request.
        """
        self._asked.append(request)
        frames = Framer(cut).feed(self._says.get(request, b""))
        if not frames:
            raise NoAnswer(f"the vector has no whole response to {request.hex(' ').upper()}")
        return frames[0]

    def requests(self) -> list[tuple[str, int]]:
        """Return what was asked, each with its bytes on the line."""
        return [(ask.hex(" ").upper(), len(ask) + len(self._says.get(ask, b""))) for ask in self._asked]


def poll_of(serial: str, requests: Sequence[tuple[str, int]]) -> Poll:
    """Return what these requests, each with its bytes on the line, take in a serial format."""
    line = SerialFormat.parse(serial)
    size = sum(length for _, length in requests)
    bits = 1 + line.data_bits + (line.parity != "N") + line.stop_bits
    seconds = size * bits / line.baud + _TURN_ROUND * len(requests)
    return Poll(serial, tuple(what for what, _ in requests), size, round(seconds, 3))
