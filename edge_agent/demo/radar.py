"""A simulated HLK-LD2410: ten reports a second about people who come and go, and the orders it takes.

Layout: "HLK-LD2410C serial communication protocol V1.00", 2.2 and 2.3, tables 12 and 13. As the real module
does, it keeps the last distances and energies when nobody is there any more: only the state says so.
"""

import asyncio
import random
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.demo.tty_end import TtyEnd

BAUD = 256_000
_PERIOD = 0.1  # seconds
_NOBODY, _MOVING, _STILL, _BOTH = range(4)
_GATES = 9
_HEADER, _FOOTER = b"\xfd\xfc\xfb\xfa", b"\x04\x03\x02\x01"  # of an order and its acknowledgement
_AROUND = 10  # bytes of an order around what is inside
_STARTS = 1.0  # seconds from a restart until it takes orders
_BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 256000, 460800)  # numbered from 1
_FAR, _NEAR = 420, 60  # cm: where the door is, and where the chair is


@dataclass(frozen=True, slots=True)
class Sight:
    """What the radar has in view: distances in cm, energies in percent."""

    state: int = _NOBODY
    moving_cm: int = 0
    moving_energy: int = 0
    still_cm: int = 0
    still_energy: int = 0
    detect_cm: int = 0


def report(sight: Sight, *, engineering: bool = False) -> bytes:
    """Return the report, as it goes over the wire; of an engineering report the gates' echoes are made up."""
    inside = struct.pack(
        "<BBBHBHBH",
        *(0x01 if engineering else 0x02, 0xAA, sight.state, sight.moving_cm, sight.moving_energy),
        *(sight.still_cm, sight.still_energy, sight.detect_cm),
    )
    if engineering:
        inside += bytes([_GATES - 1, _GATES - 1, *range(2 * _GATES), 0x60, 0x01])
    inside += b"\x55\x00"
    return b"\xf4\xf3\xf2\xf1" + struct.pack("<H", len(inside)) + inside + b"\xf8\xf7\xf6\xf5"


class Room:
    """A room with a door and a chair. Somebody comes in, sits, leaves; then nobody is there for a while."""

    def __init__(self, chance: random.Random) -> None:
        self.sight = Sight()
        self._chance = chance
        self._left = 20  # reports until something else happens
        self._step = 0  # cm a report; towards the radar is negative

    def next(self) -> Sight:
        """Let a tenth of a second pass."""
        self._left -= 1
        if self._left <= 0:
            self._change()
        if self.sight.state == _MOVING:
            self._walk()
        elif self.sight.state != _NOBODY:
            self._sit()
        return self.sight

    def _change(self) -> None:
        match self.sight.state:
            case 0:  # somebody opens the door
                self._step, self._left = -self._chance.randint(6, 12), 600
                self.sight = Sight(_MOVING, _FAR, 80, 0, 0, _FAR)
            case 1:  # who has walked as far as there is to walk
                self._left = self._chance.randint(40, 150)
                self.sight = replace(self.sight, state=_NOBODY if self._step > 0 else _STILL)
            case _:  # who sat gets up
                self._step, self._left = self._chance.randint(6, 12), 600
                self.sight = replace(self.sight, state=_MOVING)

    def _walk(self) -> None:
        where = min(max(self.sight.moving_cm + self._step, _NEAR), _FAR)
        energy = self._chance.randint(70, 100)
        self.sight = replace(self.sight, moving_cm=where, moving_energy=energy, detect_cm=where)
        if where == (_FAR if self._step > 0 else _NEAR):
            self._left = 1

    def _sit(self) -> None:
        fidget = self._chance.random() < 0.2  # noqa: PLR2004 - one report in five
        self.sight = replace(
            self.sight,
            state=_BOTH if fidget else _STILL,
            moving_energy=self._chance.randint(25, 60) if fidget else 0,
            still_cm=_NEAR + self._chance.randint(-3, 3),
            still_energy=self._chance.randint(80, 100),
            detect_cm=_NEAR,
        )


class Module:
    """The radar at one end of a wire. A context manager inside a running loop.

    It is silent while it is in configuration, and deaf while it starts. ``deaf`` makes it take no orders
    at all, as with a broken wire to its RX; ``orders`` are those it has heard, ``told`` counts bytes.
    """

    def __init__(self, name: Path, *, deaf: bool = False) -> None:
        self.configuring, self.engineering, self.deaf = False, False, deaf
        self.orders: list[int] = []
        self.told = 0
        self._baud = BAUD
        self._tty = TtyEnd(name, self._hear)
        self._heard = bytearray()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        """Open the tty and begin to take orders."""
        self._tty.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Fall silent."""
        self._tty.__exit__(kind, error, trace)

    def say(self, words: bytes) -> None:
        """Put bytes on the wire."""
        self._tty.send(words)

    async def watch(self) -> None:
        """Report for ever."""
        room = Room(random.Random())  # noqa: S311 - a play, no secret
        due = self._loop.time()
        while True:
            sight = room.next()
            if not self.configuring:
                self.say(report(sight, engineering=self.engineering))
            due += _PERIOD
            await asyncio.sleep(max(due - self._loop.time(), 0))

    def _hear(self, piece: bytes) -> None:
        self.told += len(piece)
        if self.deaf:
            return
        self._heard += piece
        start = self._heard.find(_HEADER)
        if start < 0:
            self._heard.clear()
            return
        size = int.from_bytes(self._heard[start + 4 : start + 6], "little") + _AROUND
        if len(self._heard) - start >= max(size, _AROUND):
            order = bytes(self._heard[start : start + size])
            self._heard.clear()
            if order.endswith(_FOOTER):
                self._obey(order[6], order[8:-4])

    def _obey(self, order: int, value: bytes) -> None:
        self.orders.append(order)
        follows, more = self.configuring, b""
        match order:
            case 0xFF:
                self.configuring = follows = True
                more = b"\x01\x00\x40\x00"  # version of the protocol, size of its buffer
            case 0xFE:
                self.configuring = False
            case 0x62 | 0x63 if follows:
                self.engineering = order == 0x62  # noqa: PLR2004 - as in table 2.2.5
            case 0xA1 if follows:
                self._baud = _BAUDS[int.from_bytes(value, "little") - 1]
            case 0xA3 if follows:
                self._loop.call_later(_PERIOD, self._restart)
            case _:
                follows = False
        status = 0 if follows else 1
        inside = struct.pack("<BBH", order, 1, status) + more
        self.say(_HEADER + struct.pack("<H", len(inside)) + inside + _FOOTER)

    def _restart(self) -> None:
        self.configuring = self.engineering = False
        self.deaf = True
        self._tty.set_speed(self._baud)
        self._loop.call_later(_STARTS, self._started)

    def _started(self) -> None:
        self.deaf = False
