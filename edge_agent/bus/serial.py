"""A serial port as one stream of bytes on the event loop. The only door to pyserial.

pyserial opens and configures the tty; from then on the event loop reads its descriptor. No thread
runs while the port is open, and nothing polls.
"""

import asyncio
import math
import os
import re
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import serial

from edge_agent.bus.remedy import why_not_opened
from edge_agent.bus.tap import Tap

OPEN_LIMIT = 10.0  # seconds; a driver with a sick adapter can block for ever
WRITE_LIMIT = 2.0  # seconds beyond what the bytes take on the wire
MOST_HELD = 16_384  # bytes that nobody has read yet; then the oldest go
_CHUNK = 4096

_FORMAT = re.compile(r"\s*(\d{1,7})(?:\s*,\s*|\s+)([78])([NEO])([12])\s*", re.IGNORECASE)
_SLOWEST, _FASTEST = 50, 4_000_000


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


def check_port(port: str) -> str:
    """Return the port's name if it can name a port.

    Raises:
        ValueError: it names something that is not supported; the message says what is.
    """
    scheme, separator, _ = port.partition("://")
    if separator:
        raise ValueError(
            f"port {port!r}: {scheme}:// is not supported yet; give a serial device by its path, such as "
            "/dev/serial/by-id/... or /dev/ttyUSB0"
        )
    return port


class ByteStream:
    """An open serial port. Made by ``open_stream``, inside a running event loop.

    ``heard_at`` is the loop's time of the last bytes heard (-inf before the first), ``dropped`` counts
    bytes given up because nobody read them. ``tap`` is told of all that passes. When the medium goes, the
    stream closes itself, tells ``on_lost`` once, and every call raises BusError.
    """

    def __init__(
        self, port: str, tty: serial.Serial, serial_format: SerialFormat, on_lost: Callable[[BusError], None]
    ) -> None:
        self.port, self.heard_at, self.dropped = port, -math.inf, 0
        self.speed = serial_format.baud
        self.tap: Tap | None = None
        self._format, self._tty, self._on_lost = serial_format, tty, on_lost
        self._descriptor: int = tty.fileno()
        self._heard = bytearray()
        self._lost = ""
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._hear)

    @property
    def lost(self) -> bool:
        """Whether the stream is closed, by us or by the medium."""
        return bool(self._lost)

    def seconds(self, count: float) -> float:
        """Return how long ``count`` bytes take on the wire at the speed of now."""
        return self._format.seconds(count, self.speed)

    def _hear(self) -> None:
        try:
            piece = os.read(self._descriptor, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(str(error))
            return
        if not piece:  # VMIN is 1: no bytes means hung up, never "nothing yet"
            self._lose("hung up")
            return
        self.heard_at = self._loop.time()
        if self.tap is not None:
            self.tap("heard", piece)
        self._heard += piece
        if (surplus := len(self._heard) - MOST_HELD) > 0:
            del self._heard[:surplus]
            self.dropped += surplus
        _wake(self._reader)

    async def read(self, until: float = math.inf) -> bytes:
        """Return all bytes heard since the last call, as soon as there is one.

        Returns no bytes when the loop's time reaches ``until`` first. One reader at a time.

        Raises:
            BusError: the medium is gone.
        """
        if not self._heard and not self._lost:
            self._reader = self._loop.create_future()
            alarm = None if until == math.inf else self._loop.call_at(until, _wake, self._reader)
            try:
                await self._reader
            finally:
                self._reader = None
                if alarm is not None:
                    alarm.cancel()
        if self._lost and not self._heard:
            raise BusError(self._lost)
        heard = bytes(self._heard)
        self._heard.clear()
        return heard

    async def write(self, sent: bytes) -> None:
        """Hand all bytes to the port; they are still leaving it when this returns.

        Raises:
            BusError: the medium is gone, or takes no bytes any more.
        """
        if self.tap is not None:
            self.tap("sent", sent)
        rest = memoryview(sent)
        try:
            async with asyncio.timeout(self.seconds(len(sent)) + WRITE_LIMIT):
                while rest:
                    if self._lost:
                        raise BusError(self._lost)
                    try:
                        rest = rest[os.write(self._descriptor, rest) :]
                    except (BlockingIOError, InterruptedError):
                        await self._writable()
                    except OSError as error:
                        self._lose(str(error))
        except TimeoutError:
            self._lose("takes no bytes")
        if self._lost:
            raise BusError(self._lost)

    async def _writable(self) -> None:
        self._writer = self._loop.create_future()
        self._loop.add_writer(self._descriptor, _wake, self._writer)
        try:
            await self._writer
        finally:
            self._writer = None
            if not self._lost:
                self._loop.remove_writer(self._descriptor)

    def discard(self) -> None:
        """Drop what was heard and not yet read."""
        self._heard.clear()
        with suppress(OSError, termios.error):  # the next read or write tells that the port is gone
            self._tty.reset_input_buffer()

    def set_speed(self, speed: int) -> None:
        """Change the speed at once; the caller has waited for quiet.

        Raises:
            ValueError: the port cannot run at that speed.
        """
        if speed == self.speed or self._lost:
            return
        try:
            self._tty.baudrate = speed
        except (OSError, ValueError, termios.error) as error:
            raise ValueError(f"{self.port} cannot run at {speed} baud ({error})") from error
        self.speed = speed

    def close(self) -> None:
        """Give the port back. Closing twice is allowed."""
        self._shut(f"{self.port} is closed")

    def _lose(self, reason: str) -> None:
        if not self._lost:
            self._shut(
                f"{self.port} is gone ({reason}); check its plug and cable, it is tried again by itself"
            )
            self._on_lost(BusError(self._lost))

    def _shut(self, reason: str) -> None:
        if self._lost:
            return
        self._lost = reason
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        _close(self._tty)
        _wake(self._reader)
        _wake(self._writer)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def _close(tty: serial.Serial) -> None:
    with suppress(OSError, termios.error):  # unsent bytes would keep close() waiting, up to 30 s
        tty.reset_output_buffer()
    with suppress(OSError):
        tty.close()


_under_way: set[str] = set()  # ports whose open() has not returned; a sick driver must not eat all threads


def _open(port: str, serial_format: SerialFormat) -> serial.Serial:
    try:
        return serial.Serial(
            port,
            serial_format.baud,
            bytesize=serial_format.data_bits,
            parity=serial_format.parity,
            stopbits=serial_format.stop_bits,
            timeout=0,
            inter_byte_timeout=0,  # makes VMIN 1, so that a read of no bytes can only mean "hung up"
            exclusive=True,
        )
    except (OSError, ValueError, termios.error) as error:
        raise BusError(why_not_opened(port, error)) from error
    finally:
        _under_way.discard(port)


async def open_stream(
    port: str, serial_format: SerialFormat, on_lost: Callable[[BusError], None] = lambda _: None
) -> ByteStream:
    """Open and lock a serial port. ``on_lost`` hears once if the medium goes later.

    Raises:
        BusError: it cannot be opened; the message names the port, the cause and the remedy.
        ValueError: the port's name is of a kind that is not supported.
    """
    check_port(port)
    if port in _under_way:
        raise BusError(
            f"{port} is still being opened; if that lasts, unplug the adapter and plug it in again"
        )
    _under_way.add(port)
    opening = asyncio.get_running_loop().run_in_executor(None, _open, port, serial_format)
    try:
        async with asyncio.timeout(OPEN_LIMIT):
            tty = await asyncio.shield(opening)
    except TimeoutError:
        opening.add_done_callback(_close_late)
        raise BusError(
            f"{port} does not open within {OPEN_LIMIT:g} s; unplug the adapter and plug it in again"
        ) from None
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise
    return ByteStream(port, tty, serial_format, on_lost)


def _close_late(opening: asyncio.Future[serial.Serial]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        _close(opening.result())
