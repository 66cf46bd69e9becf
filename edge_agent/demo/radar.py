"""A simulated HLK-LD2410: ten basic reports a second about people who come and go.

Layout: "HLK-LD2410C serial communication protocol V1.00", 2.3, tables 12 and 13. As the real module
does, it keeps the last distances and energies when nobody is there any more: only the state says so.
"""

import asyncio
import random
import struct
from dataclasses import dataclass, replace

from edge_agent.demo.tty_end import TtyEnd

BAUD = 256_000
_PERIOD = 0.1  # seconds
_NOBODY, _MOVING, _STILL, _BOTH = range(4)
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


def report(sight: Sight) -> bytes:
    """Return the basic report, as it goes over the wire."""
    inside = struct.pack(
        "<BBBHBHBHBB",
        *(0x02, 0xAA, sight.state, sight.moving_cm, sight.moving_energy),
        *(sight.still_cm, sight.still_energy, sight.detect_cm, 0x55, 0x00),
    )
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


async def watch(tty: TtyEnd) -> None:
    """Report for ever."""
    room, clock = Room(random.Random()), asyncio.get_running_loop()  # noqa: S311 - a play, no secret
    due = clock.time()
    while True:
        tty.send(report(room.next()))
        due += _PERIOD
        await asyncio.sleep(max(due - clock.time(), 0))
