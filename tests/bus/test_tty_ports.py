"""What only a tty of this machine has: locks and direction."""

import fcntl
import os
import pty
import struct
from typing import Any

import pytest

from edge_agent.bus.address import Address
from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import BusError, Direction
from edge_agent.bus.stream import open_stream
from tests.bus.network import FORMAT, QUESTION, descriptors


async def test_a_port_that_is_locked_keeps_others_out_and_says_who() -> None:
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    stream = await open_stream(Address.parse(name), FORMAT)
    exclusive = struct.unpack("i", fcntl.ioctl(theirs, 0x80045440, bytes(4)))[0]  # TIOCGEXCL
    assert exclusive == 1
    with pytest.raises(BusError, match=rf"in use by .*\(pid {os.getpid()}\); stop that"):
        await open_stream(Address.parse(name), FORMAT)
    stream.close()
    assert struct.unpack("i", fcntl.ioctl(theirs, 0x80045440, bytes(4)))[0] == 0
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("direction", ["rts", "rts-inverted"])
async def test_an_adapter_that_cannot_switch_direction_says_so(direction: Direction) -> None:
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    (await open_stream(Address.parse(name), FORMAT)).close()
    before = descriptors()
    line = SerialLine(name, FORMAT, direction=direction)
    with pytest.raises(BusError, match=rf'{name} cannot switch the direction .* set direction = "auto"'):
        await Rtu(line).read(QUESTION)
    assert descriptors() == before
    await line.close()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(("direction", "expected"), [("rts", 0b011), ("rts-inverted", 0b101)])
async def test_what_an_adapter_is_told_that_can(
    direction: Direction, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flags of linux/serial.h: enabled 1, RTS high while sending 2, after sending 4."""
    ours, theirs = pty.openpty()
    really, asked = fcntl.ioctl, []

    def can(descriptor: int, request: int, *rest: Any) -> Any:
        if request == 0x542F:  # TIOCSRS485
            asked.append(rest[0][0])
            return 0
        return 0 if request == 0x542E else really(descriptor, request, *rest)  # TIOCGRS485

    monkeypatch.setattr(fcntl, "ioctl", can)
    stream = await open_stream(Address.parse(os.ttyname(theirs)), FORMAT, direction)
    stream.close()
    assert asked == [expected]
    os.close(ours)
    os.close(theirs)
