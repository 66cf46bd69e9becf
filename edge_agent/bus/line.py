"""A serial port with one owner: a line on which one asks and is answered, or a talker to listen to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from edge_agent.bus.framing import Framer
from edge_agent.bus.port import Port
from edge_agent.bus.serial import ByteStream, SerialFormat
from edge_agent.bus.tap import Tap
from edge_agent.driver import Cut, Garbled, Line, NoAnswer, Refused

BYTE_GAP = 0.5
"""The longest pause inside an answer, in seconds.

DL/T 645-2007 (5.3.3) allows its meters 500 ms between two bytes. For Modbus, which allows 1.5 characters,
it does no harm: an answer's length is known, so that only a broken answer is ever waited for.
"""

QUIET_CHARACTERS = 3.5  # MODBUS over Serial Line V1.02, 2.5.1.1
SETTLE = 0.01  # seconds from the end of a request to a change of speed; the fastest meters answer after 0.02
BABBLE = 3.0  # seconds of talk that nobody asked for, until an exchange gives up


class SerialLine:
    """The owner of one serial port on which devices answer. Implements the contract's ``Line``.

    Exchanges take their turn in the order they were asked for. ``gap`` is the quiet time before each, in
    seconds, at least 3.5 characters. An answer that comes too late must never be taken for the answer to
    another question, which in Modbus RTU looks the same: so after any failure, and after a cancelled
    exchange, the next request waits until ``lateness`` seconds (or twice ``within``) have passed since
    the end of the failed one, and drops all that is heard until then. ``port`` is its name, or an open port
    that has an owner, who hears nothing meanwhile.

    ``exchanges`` counts requests sent, ``skipped`` bytes that were in no answer.
    """

    def __init__(
        self,
        port: str | Port,
        serial_format: SerialFormat,
        *,
        gap: float = 0.02,
        lateness: float = 1.5,
        tap: Tap | None = None,
    ) -> None:
        self.exchanges = self.skipped = 0
        self._port = port if isinstance(port, Port) else Port(port, serial_format, tap)
        self._gap, self._lateness = gap, lateness
        self._turn = asyncio.Lock()
        self._owed_until = 0.0  # until then the answer to an earlier request may still come

    @property
    def problem(self) -> str:
        """Return "" while the port is well, else what is wrong with it."""
        return self._port.problem

    @property
    def reopened(self) -> int:
        """Return how often the port came back."""
        return self._port.reopened

    @property
    def retry_in(self) -> float:
        """Return the seconds for which every exchange will raise BusError at once; 0 when it may work."""
        return self._port.retry_in()

    async def exchange(  # noqa: PLR0913 - as in the contract
        self,
        request: bytes,
        cut: Cut,
        *,
        within: float,
        speed: int | None = None,
        answer_speed: int | None = None,
        longest: int = 1024,
    ) -> bytes:
        """Send a request and return the first frame that ``cut`` finds in the answer.

        ``within`` counts in seconds from the moment the request has left the wire to the first byte. Noise
        before the answer and a local echo of the request are dropped. With ``answer_speed`` the port
        changes to that speed as soon as the request has left.

        Raises:
            NoAnswer: nothing came in time.
            Garbled: bytes came, but no answer within ``longest`` bytes; or the line is never quiet.
            Refused: the port cannot run at that speed.
            BusError: the port is gone; raised at once until the next try to open it is due.
        """
        async with self._turn:
            stream = await self._port.stream()
            await self._wait_for_quiet(stream)
            _set_speed(stream, speed or self._port.serial_format.baud)
            stream.discard()
            return await self._ask(stream, request, cut, within, answer_speed, longest)

    async def close(self) -> None:
        """Give the port back. An exchange that is under way raises BusError."""
        self._port.close()

    async def _wait_for_quiet(self, stream: ByteStream) -> None:
        loop = asyncio.get_running_loop()
        gap = max(self._gap, stream.seconds(QUIET_CHARACTERS))
        give_up = max(loop.time(), self._owed_until) + max(BABBLE, 2 * gap)
        while (quiet_at := max(stream.heard_at + gap, self._owed_until)) > loop.time():
            if loop.time() > give_up:
                raise Garbled(
                    f"{stream.port} is never quiet; look for a second master, or for a device that "
                    "speaks unasked or at another speed"
                )
            self.skipped += len(await stream.read(quiet_at))

    async def _ask(  # noqa: PLR0913, PLR0917 - all that an exchange is made of, by its one caller
        self,
        stream: ByteStream,
        request: bytes,
        cut: Cut,
        within: float,
        answer_speed: int | None,
        longest: int,
    ) -> bytes:
        loop = asyncio.get_running_loop()
        gone_at = loop.time() + stream.seconds(len(request))
        late = max(self._lateness, 2 * within)
        self._owed_until = gone_at + late  # settled only by an answer, whatever else happens here
        self.exchanges += 1
        await stream.write(request)
        gone_at = max(gone_at, loop.time())
        self._owed_until = gone_at + late
        if answer_speed:
            await asyncio.sleep(gone_at + SETTLE - loop.time())
            _set_speed(stream, answer_speed)

        framer = Framer(cut, longest)
        heard, echo = bytearray(), request
        answer_by = gone_at + within
        latest = max(answer_by + stream.seconds(longest), answer_by + 2 * BYTE_GAP)
        frames: list[bytes] = []
        while not frames and len(heard) < longest:
            until = max(answer_by, stream.heard_at + BYTE_GAP) if heard else answer_by
            piece = await stream.read(min(until, latest))
            heard += piece
            fresh = piece
            if echo:
                if piece and len(heard) < len(echo) and echo.startswith(heard):
                    continue  # the echo so far, or an answer that begins like the request
                fresh, echo = bytes(heard.removeprefix(echo)), b""
                heard[:] = fresh
            frames = framer.feed(fresh)
            if not piece:
                break
        self.skipped += framer.skipped
        if frames:
            self._owed_until = 0.0
            return frames[0]
        if not heard.strip(b"\x00\xff"):  # what a line does by itself when it turns around
            raise NoAnswer(f"no answer on {stream.port} within {within:g} s")
        raise Garbled(f"{len(heard)} bytes on {stream.port} without an answer: {heard[:32].hex(' ')}")


def _set_speed(stream: ByteStream, speed: int) -> None:
    try:
        stream.set_speed(speed)
    except ValueError as error:
        raise Refused(f"{error}; set a speed that this adapter has") from error


class SerialStream:
    """The owner of one serial port at whose far end a device speaks unasked.

    ``frames`` cuts what it says with the driver's ``cut``; no more than ``limit`` bytes wait for the rest of
    their frame. ``heard`` counts frames; ``skipped`` bytes that were in none, or that nobody took in time.
    """

    def __init__(
        self,
        port: str,
        serial_format: SerialFormat,
        cut: Cut,
        *,
        limit: int = 4096,
        tap: Tap | None = None,
    ) -> None:
        self.heard = 0
        self._port = Port(port, serial_format, tap)
        self._framer = Framer(cut, limit)
        self._dropped = 0

    @property
    def problem(self) -> str:
        """Return "" while the port is well, else what is wrong with it."""
        return self._port.problem

    @property
    def reopened(self) -> int:
        """Return how often the port came back."""
        return self._port.reopened

    @property
    def skipped(self) -> int:
        """Return how many bytes were in no frame."""
        return self._framer.skipped + self._dropped

    async def frames(self, prepare: Callable[[Line], Awaitable[None]] | None = None) -> AsyncIterator[bytes]:
        """Yield whole frames until the port goes. ``prepare`` may ask the device first, and raises no Fault.

        After a BusError this may be called again, as often as one likes: it first waits until the next
        try to open the port is due.

        Raises:
            BusError: the port is gone, or cannot be opened.
        """
        await asyncio.sleep(self._port.retry_in())
        stream = await self._port.stream()
        self._framer.clear()
        if prepare is not None:
            await prepare(SerialLine(self._port, self._port.serial_format))
            with suppress(ValueError):  # then the port has gone, and reading it says so
                stream.set_speed(self._port.serial_format.baud)
        while True:
            heard = await stream.read()
            if stream.dropped:
                self._dropped += stream.dropped
                stream.dropped = 0
                self._framer.clear()  # what it holds has lost its continuation
            for frame in self._framer.feed(heard):
                self.heard += 1
                yield frame

    async def close(self) -> None:
        """Give the port back. A reader of ``frames`` gets a BusError."""
        self._port.close()
