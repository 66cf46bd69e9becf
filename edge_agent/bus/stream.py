"""A port of any kind as one stream of bytes on the event loop."""

import asyncio
import math
import os
from collections.abc import Callable
from typing import Protocol

from edge_agent.bus.address import Address
from edge_agent.bus.serial import BusError, Direction, SerialFormat, open_tty
from edge_agent.bus.tap import Tap

WRITE_LIMIT = 2.0  # seconds beyond what the bytes take on the wire
MOST_HELD = 16_384  # bytes that nobody has read yet; then the oldest go
_SHORTEST_NAP = 0.002  # seconds; below, being woken by each byte costs no more


class Medium(Protocol):
    """What carries the bytes: an open descriptor that never blocks."""

    @property
    def descriptor(self) -> int:
        """The descriptor, to wait for and to write to."""

    def read(self) -> bytes:
        """Return what has arrived; no bytes when the other end has gone.

        Raises:
            BlockingIOError: nothing has.
            OSError: the medium is gone.
        """

    def encode(self, sent: bytes) -> bytes:
        """Return what goes to the descriptor for bytes that are sent."""

    def set_speed(self, speed: int) -> None:
        """Change the speed for what is sent from now on. Raises ValueError when it cannot."""

    def close(self) -> None:
        """Give the medium back."""


class ByteStream:
    """An open port. Made by ``open_stream``, inside a running event loop.

    ``heard_at`` is the loop's time of the last bytes heard (-inf before the first), ``dropped`` counts
    bytes given up because nobody read them. ``tap`` is told of all that passes. Bytes take their time as
    ``serial_format`` says; with None they take none. When the medium goes, the stream closes itself, tells
    ``on_lost`` once, and every call raises BusError.
    """

    def __init__(
        self,
        port: str,
        medium: Medium,
        serial_format: SerialFormat | None,
        on_lost: Callable[[BusError], None] = lambda _: None,
    ) -> None:
        self.port, self.heard_at, self.dropped = port, -math.inf, 0
        self.speed = serial_format.baud if serial_format else 0
        self.tap: Tap | None = None
        self._format, self._medium, self._on_lost = serial_format, medium, on_lost
        self._descriptor = medium.descriptor
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
        return self._format.seconds(count, self.speed) if self._format else 0.0

    def _hear(self) -> None:
        try:
            piece = self._medium.read()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.lose(str(error))
            return
        if not piece:
            self.lose("hung up")
            return
        self.heard_at = self._loop.time()
        if self.tap is not None:
            self.tap("heard", piece)
        self._heard += piece
        if (surplus := len(self._heard) - MOST_HELD) > 0:
            del self._heard[:surplus]
            self.dropped += surplus
        _wake(self._reader)

    async def read(self, until: float = math.inf, missing: int = 1) -> bytes:
        """Return all bytes heard since the last call, as soon as there is one.

        Returns no bytes when the loop's time reaches ``until`` first. Where at least ``missing`` bytes are
        needed before anything can be told, the loop is not woken while they cannot be here yet.
        One reader at a time.

        Raises:
            BusError: the medium is gone.
        """
        nap = self.seconds(missing - 1)
        if nap >= _SHORTEST_NAP and not self._lost:
            self._loop.remove_reader(self._descriptor)
            try:
                await self._wait(min(until, self._loop.time() + nap))
            finally:
                if not self._lost:
                    self._loop.add_reader(self._descriptor, self._hear)
                    self._hear()
        if not self._heard and not self._lost:
            await self._wait(until)
        if self._lost and not self._heard:
            raise BusError(self._lost)
        heard = bytes(self._heard)
        self._heard.clear()
        return heard

    async def _wait(self, until: float) -> None:
        self._reader = self._loop.create_future()
        alarm = None if until == math.inf else self._loop.call_at(until, _wake, self._reader)
        try:
            await self._reader
        finally:
            self._reader = None
            if alarm is not None:
                alarm.cancel()

    def take(self) -> bytes:
        """Return what was heard and not yet read, without waiting."""
        if not self._lost:
            self._hear()
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
        rest = memoryview(self._medium.encode(sent))
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
                        self.lose(str(error))
        except TimeoutError:
            self.lose("takes no bytes")
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

    def set_speed(self, speed: int) -> None:
        """Change the speed at once; the caller has waited for quiet.

        Raises:
            ValueError: the port cannot run at that speed.
        """
        if speed == self.speed or self._lost or self._format is None:
            return
        try:
            self._medium.set_speed(speed)
        except ValueError as error:
            raise ValueError(f"{self.port} cannot run at {speed} baud ({error})") from error
        self.speed = speed

    def close(self) -> None:
        """Give the port back. Closing twice is allowed."""
        self._shut(f"{self.port} is closed")

    def lose(self, reason: str) -> None:
        """Close it because the medium is gone, and tell so."""
        if not self._lost:
            self._shut(f"{self.port} is gone ({reason}); check its plug and cable")
            self._on_lost(BusError(self._lost))

    def _shut(self, reason: str) -> None:
        if self._lost:
            return
        self._lost = reason
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._medium.close()
        _wake(self._reader)
        _wake(self._writer)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def open_stream(
    address: Address,
    serial_format: SerialFormat,
    direction: Direction = "auto",
    on_lost: Callable[[BusError], None] = lambda _: None,
) -> ByteStream:
    """Open a port, and lock it where it is of this machine. ``on_lost`` hears once if the medium goes later.

    Raises:
        BusError: it cannot be opened; the message names the port, the cause and the remedy.
    """
    medium: Medium
    match address.kind:
        case "tty":
            medium = await open_tty(address.text, serial_format, direction)
        # the others are loaded where a bus needs them
        case "rfc2217":
            from edge_agent.bus.rfc2217 import open_rfc2217  # noqa: PLC0415 - as said

            medium = await open_rfc2217(address, serial_format)
        case "socket" | "modbus-tcp":
            from edge_agent.bus.tcp import open_socket  # noqa: PLC0415 - as said

            medium = await open_socket(address)
        case "contact":
            from edge_agent.bus.contact import open_contact  # noqa: PLC0415 - as said

            medium = await open_contact(address)
        case "gpio":
            from edge_agent.bus.contact import open_gpio  # noqa: PLC0415 - as said

            medium = await open_gpio(address)
    paced = None if address.kind == "modbus-tcp" or address.is_contact else serial_format
    return ByteStream(address.text, medium, paced, on_lost)
