"""A port with one owner, on which one asks and is answered."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge_agent.bus.device_line import DeviceLine
from edge_agent.bus.echo import PastEcho
from edge_agent.bus.framing import Framer
from edge_agent.bus.overheard import Overheard
from edge_agent.bus.pending_answers import Exchange, PendingAnswers
from edge_agent.bus.port import Port
from edge_agent.bus.recent_frames import RecentFrames
from edge_agent.bus.redaction import in_hex
from edge_agent.bus.serial import BusError, Direction, SerialFormat
from edge_agent.bus.stream import ByteStream
from edge_agent.bus.tap import Tap
from edge_agent.bus.turn_queue import TurnQueue
from edge_agent.bus.utilisation import Utilisation
from edge_agent.driver import Cut, Fault, Garbled, NoAnswer, Refused
from edge_agent.fault import fault_text

BYTE_GAP = 0.5
"""The longest pause inside an answer, in seconds.

DL/T 645-2007 (5.3.3) allows its meters 500 ms between two bytes. For Modbus, which allows 1.5 characters,
it does no harm: an answer's length is known, so that only a broken answer is ever waited for.
"""

LATENESS, LATENESS_OF_NETWORK = 1.5, 10.0
"""How much later than it was waited for an answer may come, in seconds.

A device has thought too long; in a network with a weak signal an answer waits until the bytes before it have
been sent again, and then comes whole.
"""

QUIET_CHARACTERS = 3.5  # MODBUS over Serial Line V1.02, 2.5.1.1
SETTLE = 0.01  # seconds from the end of a request to a change of speed; the fastest meters answer after 0.02
_MOST_NOTED = 4096  # bytes of what nobody asked for
BABBLE = 3.0  # seconds of talk that nobody asked for, until an exchange gives up
_LATEST_ECHO = 0.05  # seconds after a request has left; what looks like its echo later may be a master's
_SILENT = 20  # exchanges without a byte, after which a network's connection is made anew


class SerialLine:
    """The owner of one port on which devices answer. Implements the contract's ``Line``.

    Each device has its ``place``; of those that wait, the one that was due first goes first. ``gap`` is the
    quiet time before each exchange, in seconds, at least 3.5 characters; all that is heard until then is
    dropped. ``direction`` says who turns an RS-485 line around. ``port`` is its name, or an open port that
    has an owner, who hears nothing meanwhile; ``tap`` is told of all that passes.

    An answer that comes too late must never be taken for the answer to another question, which in Modbus RTU
    looks the same. For ``lateness`` seconds (or twice ``within``) from the end of a request that failed or
    was cancelled, its place sends nothing else than the same again, while others go on; and what another
    place hears, but could be that answer, is nobody's. Nor is what follows the question of another master.
    ``None`` is as late as a device, or a network that leads to it, may well be.

    ``exchanges`` counts requests sent, ``failures`` what became of some by kind, ``skipped`` bytes that were
    in no answer. ``busy`` is the share of time in which the line was taken.
    """

    def __init__(  # noqa: PLR0913 - all but two have a usual value
        self,
        port: str | Port,
        serial_format: SerialFormat,
        *,
        gap: float = 0.02,
        lateness: float | None = None,
        direction: Direction = "auto",
        tap: Tap | None = None,
    ) -> None:
        self.exchanges = self.skipped = 0
        self.failures: Counter[str] = Counter()
        self._port = port if isinstance(port, Port) else Port(port, serial_format, direction, tap)
        usual = LATENESS_OF_NETWORK if self._port.remote else LATENESS
        self._gap, self._lateness = gap, usual if lateness is None else lateness
        self._turns = TurnQueue()
        self._anyone = DeviceLine(self)
        self._pending, self._overheard = PendingAnswers(), Overheard()
        self._last_quiet = 0.0
        self._utilisation = Utilisation()
        self._silent = 0

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

    @property
    def busy(self) -> float:
        """Return the share of the last minute or so in which the line was taken, 0 to 1."""
        return self._utilisation.share(asyncio.get_running_loop().time())

    def place(self, quiet: float = 0.0, recent_frames: RecentFrames | None = None) -> DeviceLine:
        """Return a place for one device, that needs so many seconds of silence around its exchanges.

        ``recent_frames`` takes note of these.
        """
        return DeviceLine(self, quiet, recent_frames)

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
        """Send a request once, for no device in particular, and return the first frame that ``cut`` finds.

        ``within`` counts in seconds from the moment the request has left the wire to the first byte. Noise
        before the answer and a local echo of the request are dropped. With ``answer_speed`` the port
        changes to that speed as soon as the request has left.

        Raises:
            NoAnswer: nothing came in time.
            Garbled: bytes came, but no answer within ``longest`` bytes; or the line is never quiet.
            Refused: the port cannot run at that speed.
            BusError: the port is gone; raised at once until the next try to open it is due.
        """
        return await self.carry(self._anyone, Exchange(request, cut, within, speed, answer_speed, longest))

    async def carry(self, place: DeviceLine, exchange: Exchange) -> bytes:
        """Send a place's request when its turn comes, and return the answer. Raises as ``exchange``."""
        loop = asyncio.get_running_loop()
        while True:
            await self._turns.take(place.due)
            began, sent, heard = loop.time(), b"", bytearray()
            try:
                stream = await self._port.stream()
                await self._wait_for_quiet(stream, place, heard)
                free_at = self._free_at(place, exchange)
                if free_at <= loop.time():
                    sent = exchange.request
                    heard.clear()
                    frame = await self._ask(stream, place, exchange, heard)
                    place.note(sent, frame)
                    return frame
            except (Fault, BusError) as fault:
                self.failures[type(fault).__name__] += 1
                if sent or heard:
                    place.note(sent, bytes(heard), fault_text(fault))
                raise
            finally:
                ended = loop.time()
                place.spent += ended - began
                self._utilisation.add(began, ended)
                self._turns.give()
            await asyncio.sleep(free_at - loop.time())  # others have the line meanwhile

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Let another program have the port meanwhile. Exchanges wait for their turn as long."""
        await self._turns.take(-math.inf)
        try:
            self._port.release()
            yield
        finally:
            self._turns.give()

    async def close(self) -> None:
        """Give the port back. An exchange that is under way raises BusError."""
        self._port.close()

    async def _wait_for_quiet(self, stream: ByteStream, place: DeviceLine, heard: bytearray) -> None:
        """Drop what is said until then. ``heard`` takes how it begins, where it does not end."""
        loop = asyncio.get_running_loop()
        gap = max(self._gap, place.quiet, self._last_quiet, stream.seconds(QUIET_CHARACTERS))
        give_up = loop.time() + max(BABBLE, 2 * gap)
        self._overhear(stream.take(), stream)
        while (quiet_at := stream.heard_at + gap) > loop.time():
            if loop.time() > give_up:
                raise Garbled(
                    f"{stream.port} is never quiet; look for a second master, or for a device that "
                    "speaks unasked or at another speed"
                )
            piece = await stream.read(quiet_at)
            heard += piece[: _MOST_NOTED - len(heard)]  # a network brings megabytes
            self._overhear(piece, stream)

    def _overhear(self, piece: bytes, stream: ByteStream) -> None:
        self.skipped += len(piece)
        self._overheard.add(piece, stream.heard_at)

    def _free_at(self, place: DeviceLine, exchange: Exchange) -> float:
        """Return when nobody's answer can be taken for the one to this."""
        now = asyncio.get_running_loop().time()
        return max(
            self._pending.free_at(place, exchange.request),
            self._overheard.answered_by(exchange.cut, exchange.within, now),
        )

    async def _ask(
        self, stream: ByteStream, place: DeviceLine, exchange: Exchange, heard: bytearray
    ) -> bytes:
        loop = asyncio.get_running_loop()
        _set_speed(stream, exchange.speed or self._port.serial_format.baud)
        self._last_quiet = place.quiet
        now, on_wire = loop.time(), stream.seconds(len(exchange.request))
        late = 0.0 if self._port.numbered else max(self._lateness, 2 * exchange.within)
        self._pending.forget(now)
        self._pending.sent(place, exchange, now, now + on_wire + late)  # whatever happens here
        self.exchanges += 1
        await stream.write(exchange.request)
        gone_at = max(now + on_wire, loop.time())
        if exchange.answer_speed:
            await asyncio.sleep(gone_at + SETTLE - loop.time())
            _set_speed(stream, exchange.answer_speed)
        frame, others_asked = await self._answer(stream, exchange, gone_at, heard)
        if self._pending.claimed(place, frame, loop.time()):
            raise Garbled(f"an answer on {stream.port} that could be a late one to another question")
        if not others_asked:
            self._pending.answered(place)
        return frame

    async def _answer(
        self, stream: ByteStream, exchange: Exchange, gone_at: float, heard: bytearray
    ) -> tuple[bytes, bool]:
        """Return the first frame that comes in time, and whether another master may have asked the same.

        Then either answer is right, and the other one is still to come. ``heard`` takes all that comes.
        """
        answer_by, echoed_by = gone_at + exchange.within, gone_at + _LATEST_ECHO
        others_asked = False
        cut = PastEcho(exchange.request, exchange.cut)
        framer = Framer(cut, exchange.longest)
        latest = answer_by + max(stream.seconds(exchange.longest), 2 * BYTE_GAP)
        frames: list[bytes] = []
        try:
            while not frames and len(heard) < exchange.longest:
                until = max(answer_by, stream.heard_at + BYTE_GAP) if heard else answer_by
                piece = await stream.read(min(until, latest), framer.missing)
                heard += piece
                was_heard = cut.heard
                frames = framer.feed(piece)
                others_asked |= cut.heard and not was_heard and stream.heard_at > echoed_by
                if not piece:
                    break
        finally:
            strays = bytes(heard)
            for known in ([exchange.request] if cut.heard else []) + frames[:1]:
                strays = strays.replace(known, b"", 1)
            self._overhear(strays, stream)
        if frames:
            self._silent = 0
            if self._overheard.answered_by(exchange.cut, exchange.within, stream.heard_at) > stream.heard_at:
                raise Garbled(f"an answer on {stream.port} that may be for another master; a line has one")
            return frames[0], others_asked
        if not heard:
            self._tell_silence(stream)
        if not strays.strip(b"\x00\xff"):  # what a line does by itself when it turns around
            raise NoAnswer(f"no answer on {stream.port} within {exchange.within:g} s")
        raise Garbled(f"{len(strays)} bytes on {stream.port} without an answer: {in_hex(strays[:32])}")

    def _tell_silence(self, stream: ByteStream) -> None:
        """A network's connection may be open and dead, though its machine acknowledges: make it anew."""
        self._silent += 1
        if self._port.remote and self._silent >= _SILENT:
            self._silent = 0
            stream.lose(f"not a byte in {_SILENT} exchanges")


def _set_speed(stream: ByteStream, speed: int) -> None:
    try:
        stream.set_speed(speed)
    except ValueError as error:
        raise Refused(f"{error}; set a speed that this adapter has") from error
