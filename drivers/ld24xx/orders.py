"""What the agent may tell a radar: how to report, and at which speed. Nothing else can be said from here.

HLK-LD2410C serial protocol V1.00 (2022-11-7), 2.2. An order is a word and its value; the acknowledgement
repeats the word with 01 as its high byte, then comes a status of two bytes, 0 for done:

    FD FC FB FA | length, 2 | order, 2 | value | 04 03 02 01

Orders are taken only between "enable configuration" and "end configuration", and the radar reports nothing
in between. The LD2412 and LD2450 take the same ones (ESPHome's components ld2412 and ld2450).
"""

from contextlib import suppress
from enum import IntEnum
from typing import Literal

from drivers.ld24xx.envelope import CONFIGURATION, FOOTERS, HEAD, cut
from edge_agent.driver import Cut, Frame, Garbled, Line, Need, NoAnswer, Refused, Skip

Baud = Literal[9600, 19200, 38400, 57600, 115200, 230400, 256000, 460800]
_BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 256000, 460800)  # numbered from 1
_WITHIN = 1.0  # seconds; a radar acknowledges after some 10 ms (Tasmota, xsns_102_ld2410)
_STARTING = 2  # orders that go unheard while it starts, for a second or two
_SHORTEST_ACK = 4  # bytes inside: order and status


class Order(IntEnum):
    """All that a radar is ever told. None of it erases anything, or changes what the radar sees."""

    ENABLE_CONFIGURATION = 0xFF
    END_CONFIGURATION = 0xFE
    ENGINEERING_ON = 0x62  # forgotten when power is lost
    ENGINEERING_OFF = 0x63
    SET_BAUD = 0xA1  # from the next start on
    RESTART = 0xA3


def command(order: Order, value: bytes = b"") -> bytes:
    """Return an order as it goes over the wire."""
    inside = bytes([Order(order), 0]) + value
    return CONFIGURATION + len(inside).to_bytes(2, "little") + inside + FOOTERS[CONFIGURATION]


def acknowledged(order: Order) -> Cut:
    """Return the cut that finds the acknowledgement of an order between reports and other frames."""

    def find(heard: bytes) -> Frame | Need | Skip:
        move = cut(heard)
        if not isinstance(move, Frame):
            return move
        ours = heard.startswith(CONFIGURATION) and heard[HEAD : HEAD + 2] == bytes([order, 1])
        long_enough = int.from_bytes(heard[4:HEAD], "little") >= _SHORTEST_ACK
        return move if ours and long_enough else Skip(move.size)

    return find


async def set_up(line: Line, *, baud: Baud, factory: Baud, engineering: bool | None = None) -> None:
    """Make a radar speak at ``baud``, which the line has, and report as ``engineering`` says.

    A radar that does not answer at that speed is asked at its factory's, and told to change. In any case
    the last order ends the configuration, in which it would report nothing: an enable that seems unheard may
    have been heard. Raises NoAnswer, Garbled or Refused.
    """
    try:
        try:
            await _enable(line)
        except (NoAnswer, Garbled):
            if baud == factory:
                raise
            await _change_speed(line, baud, factory)
        if engineering is not None:
            await _tell(line, Order.ENGINEERING_ON if engineering else Order.ENGINEERING_OFF)
    finally:
        await _tell(line, Order.END_CONFIGURATION)


async def _change_speed(line: Line, baud: Baud, factory: Baud) -> None:
    """Change the speed of a radar that has its factory's, and leave it in configuration at the new one."""
    index = _BAUDS.index(baud) + 1
    restarts = False
    try:
        await _enable(line, factory)
        await _tell(line, Order.SET_BAUD, index.to_bytes(2, "little"), factory)
        await _tell(line, Order.RESTART, speed=factory)
        restarts = True
    finally:
        if not restarts:
            await _tell(line, Order.END_CONFIGURATION, speed=factory)
    for _ in range(_STARTING):
        with suppress(NoAnswer, Garbled):
            return await _enable(line)
    return await _enable(line)


async def _enable(line: Line, speed: Baud | None = None) -> None:
    await _tell(line, Order.ENABLE_CONFIGURATION, b"\x01\x00", speed)


async def _tell(line: Line, order: Order, value: bytes = b"", speed: Baud | None = None) -> None:
    answer = await line.exchange(command(order, value), acknowledged(order), within=_WITHIN, speed=speed)
    status = int.from_bytes(answer[HEAD + 2 : HEAD + 4], "little")
    if status:
        raise Refused(f"the radar refuses {order.name.lower().replace('_', ' ')} (status {status})")
