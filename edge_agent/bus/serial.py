"""The serial devices of this machine, and how bytes travel on a line. The only door to pyserial.

pyserial opens and configures the tty; from then on the event loop reads its descriptor. No thread
runs while the port is open, and nothing polls.
"""

import asyncio
import fcntl
import os
import re
import termios
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

import serial
from serial import rs485

from edge_agent.bus.remedy import why_not_opened

OPEN_LIMIT = 10.0  # seconds; a driver with a sick adapter can block for ever
_CHUNK = 4096

_FORMAT = re.compile(r"\s*(\d{1,7})(?:\s*,\s*|\s+)([78])([NEO])([12])\s*", re.IGNORECASE)
_SLOWEST, _FASTEST = 50, 4_000_000

Direction = Literal["auto", "rts", "rts-inverted"]
"""Who turns an RS-485 line between sending and hearing: the adapter by itself, or the port with its RTS."""


class BusError(Exception):
    """The medium is gone: reopen it, with back-off. The message names the port and the remedy."""


@dataclass(frozen=True, slots=True)
class SerialFormat:
    """How bytes travel on a serial line: baud, data bits, parity (N, E or O), stop bits."""

    baud: int
    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a format such as ``"9600 8N1"``.

        Raises:
            ValueError: the text is none; the message shows how one is written.
        """
        match = _FORMAT.fullmatch(text)
        if match is None:
            raise ValueError(f'{text!r} is no serial format; write speed and format, such as "9600 8N1"')
        baud = int(match[1])
        if not _SLOWEST <= baud <= _FASTEST:
            raise ValueError(f"{baud} baud is no speed; use {_SLOWEST} to {_FASTEST}, such as 9600")
        return cls(baud, int(match[2]), match[3].upper(), int(match[4]))

    def __str__(self) -> str:
        return f"{self.baud} {self.data_bits}{self.parity}{self.stop_bits}"

    def seconds(self, count: float, speed: int | None = None) -> float:
        """Return how long ``count`` bytes take on the wire, at this or another speed."""
        bits = 1 + self.data_bits + (self.parity != "N") + self.stop_bits
        return count * bits / (speed or self.baud)


class Tty:
    """An open, locked serial device. The medium of a ``ByteStream``."""

    def __init__(self, tty: serial.Serial) -> None:
        self._tty = tty
        self.descriptor: int = tty.fileno()

    def read(self) -> bytes:
        """Return what is there; no bytes when it has hung up (VMIN is 1: never "nothing yet")."""
        return os.read(self.descriptor, _CHUNK)

    def encode(self, sent: bytes) -> bytes:
        """Return what goes to the descriptor for bytes that are sent."""
        return sent

    def set_speed(self, speed: int) -> None:
        """Change the speed at once. Raises ValueError when the device cannot."""
        try:
            self._tty.baudrate = speed
        except (OSError, termios.error) as error:
            raise ValueError(str(error)) from error

    def close(self) -> None:
        """Give the device back, to anyone."""
        with suppress(OSError, termios.error):  # unsent bytes would keep close() waiting, up to 30 s
            self._tty.reset_output_buffer()
        with suppress(OSError):  # a pty whose other end lives on would stay locked
            fcntl.ioctl(self.descriptor, termios.TIOCNXCL)
        with suppress(OSError):
            self._tty.close()


_under_way: set[str] = set()  # ports whose open() has not returned; a sick driver must not eat all threads


def _open(port: str, serial_format: SerialFormat, direction: Direction) -> Tty:
    try:
        tty = serial.Serial(
            port,
            serial_format.baud,
            bytesize=serial_format.data_bits,
            parity=serial_format.parity,
            stopbits=serial_format.stop_bits,
            timeout=0,
            inter_byte_timeout=0,  # makes VMIN 1, so that a read of no bytes can only mean "hung up"
            exclusive=True,  # flock: tells other programs that ask
        )
    except (OSError, ValueError, termios.error) as error:
        raise BusError(why_not_opened(port, error)) from error
    finally:
        _under_way.discard(port)
    opened = Tty(tty)
    try:
        fcntl.ioctl(opened.descriptor, termios.TIOCEXCL)  # and keeps out those that do not ask
        if direction != "auto":
            _direct(tty, direction)
    except (OSError, ValueError) as error:
        opened.close()
        raise BusError(
            f"{port} cannot switch the direction of an RS-485 line with RTS ({error}); for an adapter that "
            'does so by itself set direction = "auto", else use a port whose driver can (TIOCSRS485)'
        ) from error
    return opened


def _direct(tty: serial.Serial, direction: Direction) -> None:
    sending = direction == "rts"
    tty.rs485_mode = rs485.RS485Settings(rts_level_for_tx=sending, rts_level_for_rx=not sending)


async def open_tty(port: str, serial_format: SerialFormat, direction: Direction = "auto") -> Tty:
    """Open and lock a serial device.

    Raises:
        BusError: it cannot be opened; the message names the port, the cause and the remedy.
    """
    if port in _under_way:
        raise BusError(
            f"{port} is still being opened; if that lasts, unplug the adapter and plug it in again"
        )
    _under_way.add(port)
    opening = asyncio.get_running_loop().run_in_executor(None, _open, port, serial_format, direction)
    try:
        async with asyncio.timeout(OPEN_LIMIT):
            return await asyncio.shield(opening)
    except TimeoutError:
        opening.add_done_callback(_close_late)
        raise BusError(
            f"{port} does not open within {OPEN_LIMIT:g} s; unplug the adapter and plug it in again"
        ) from None
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise


def _close_late(opening: asyncio.Future[Tty]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
