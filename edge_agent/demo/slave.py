"""Simulated Modbus RTU slaves: several units on one tty, each with the registers of a device profile.

A unit answers only its own address, says nothing to a bad checksum or a broadcast, and refuses with
the exception codes of "MODBUS Application Protocol V1.1b3", section 7. Framing and checksum follow
"MODBUS over Serial Line V1.02", section 2.5.
"""

import asyncio
import random
import struct
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge_agent.demo.tty_end import TtyEnd

_FORMATS = {
    "bool": ">H",
    "u16": ">H",
    "i16": ">h",
    "u32": ">I",
    "i32": ">i",
    "u64": ">Q",
    "i64": ">q",
    "f32": ">f",
}
_TABLES = {3: "holding", 4: "input"}
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
_REQUEST = 8  # bytes of every request this slave can grant
_MOST_REGISTERS = 125  # in one request; application protocol, 6.3 and 6.4
_LONGEST = 256  # bytes of any frame
_TURN_ROUND = 0.005, 0.015  # seconds that a device thinks
_SILENCE = 0.05  # seconds, and once more: by then there is what a busy machine held up, and no request is cut


def crc16(frame: bytes) -> bytes:
    """Return the checksum as sent, low byte first."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class Unit:
    """One device on the line.

    ``values`` gives what it measures right now, by channel name and in the channel's unit;
    ``turn_round`` is how long it thinks, in seconds.
    """

    address: int
    profile: Mapping[str, Any]
    values: Callable[[], Mapping[str, float]]
    turn_round: tuple[float, float] = _TURN_ROUND


def unit(address: int, profile_toml: str, values: Callable[[], Mapping[str, float]]) -> Unit:
    """Make a unit from a profile's text."""
    return Unit(address, tomllib.loads(profile_toml), values)


def registers(device: Unit, table: str) -> dict[int, bytes]:
    """Return a table's registers as they stand now, by address, two bytes each."""
    values = device.values()
    image: dict[int, bytes] = {}
    for channel in device.profile["channels"]:
        if channel.get("table", "holding") != table:
            continue
        raw = _encode(channel, values.get(channel["name"], 0.0))
        words = [raw[at : at + 2] for at in range(0, len(raw), 2)]
        if channel.get("words", "big") == "little":
            words.reverse()
        image.update(enumerate(words, channel["at"]))
    return image


def _encode(channel: Mapping[str, Any], value: float) -> bytes:
    if channel["type"] == "bool":  # alone in its register: no profile here has two in one
        value = bool(value) << channel.get("bit", 0)
    raw = (value - channel.get("offset", 0)) / channel.get("scale", 1)
    return struct.pack(_FORMATS[channel["type"]], raw if channel["type"] == "f32" else round(raw))


def answer(device: Unit, request: bytes) -> bytes:
    """Return the answer to a request for this unit; both with address, without checksum."""
    function = request[1]
    if function not in _TABLES:
        return bytes([device.address, function | 0x80, _ILLEGAL_FUNCTION])
    start, count = struct.unpack(">HH", request[2:6])
    if not 1 <= count <= device.profile.get("max_registers", _MOST_REGISTERS):
        return bytes([device.address, function | 0x80, _ILLEGAL_VALUE])
    image = registers(device, _TABLES[function])
    if not image or start < min(image) or start + count - 1 > max(image):
        return bytes([device.address, function | 0x80, _ILLEGAL_ADDRESS])
    # real meters answer the holes of their map with zeros
    block = b"".join(image.get(at, b"\0\0") for at in range(start, start + count))
    return bytes([device.address, function, len(block)]) + block


class Slaves:
    """The slave side of one line: hears every request, and lets the unit that is meant answer.

    ``others`` share the line and speak another protocol: each takes what arrives and returns its answer.
    A context manager inside a running loop.
    """

    def __init__(self, tty: Path, units: list[Unit], *others: Callable[[bytes], bytes]) -> None:
        self._tty = TtyEnd(tty, self._hear)
        self._units = {unit.address: unit for unit in units}
        self._others = others
        self._heard = bytearray()
        self._silence: asyncio.TimerHandle | None = None
        self._chance = random.Random()  # noqa: S311 - how long a device thinks is no secret

    def __enter__(self) -> Self:
        """Open the tty and begin to answer."""
        self._tty.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Fall silent and close the tty."""
        if self._silence is not None:
            self._silence.cancel()
        self._tty.__exit__(kind, error, trace)

    def _hear(self, arrived: bytes) -> None:
        """Take bytes from the line. A request is answered as soon as its last byte is here."""
        for other in self._others:
            if said := other(arrived):
                self._say(said, _TURN_ROUND)
        for byte in arrived:
            self._heard.append(byte)
            tail = bytes(self._heard[-_REQUEST:])
            if len(tail) == _REQUEST and tail[0] in self._units and crc16(tail[:-2]) == tail[-2:]:
                self._heard.clear()
                self._reply(tail)
        del self._heard[:-_LONGEST]
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(_SILENCE, self._silent)

    def _silent(self) -> None:
        self._silence = asyncio.get_running_loop().call_later(_SILENCE, self._after_silence)

    def _after_silence(self) -> None:
        """Refuse an intact frame of another length, such as a write; forget anything else."""
        self._silence = None
        frame = bytes(self._heard)
        self._heard.clear()
        if len(frame) >= 4 and frame[0] in self._units and crc16(frame[:-2]) == frame[-2:]:  # noqa: PLR2004 - address, function, checksum
            self._reply(frame)

    def _reply(self, request: bytes) -> None:
        device = self._units[request[0]]
        frame = answer(device, request)
        self._say(frame + crc16(frame), device.turn_round)

    def _say(self, frame: bytes, turn_round: tuple[float, float]) -> None:
        asyncio.get_running_loop().call_later(self._chance.uniform(*turn_round), self._tty.send, frame)
