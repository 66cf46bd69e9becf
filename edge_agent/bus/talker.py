"""A port at whose far end a device speaks unasked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from edge_agent.bus.framing import Framer
from edge_agent.bus.line import SerialLine
from edge_agent.bus.port import Port
from edge_agent.bus.recent_frames import RecentFrames
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.bus.stream import ByteStream
from edge_agent.bus.tap import Tap
from edge_agent.driver import Cut, Line


class SerialStream:
    """The owner of one serial port at whose far end a device speaks unasked.

    ``frames`` cuts what it says with the driver's ``cut``; no more than ``limit`` bytes wait for the rest of
    their frame. ``exchanges`` counts frames; ``skipped`` bytes that were in none or that nobody took in time.
    ``recent_frames`` takes note of frames, and of bytes that are in none.
    """

    def __init__(  # noqa: PLR0913 - all but three have a usual value
        self,
        port: str,
        serial_format: SerialFormat,
        cut: Cut,
        *,
        limit: int = 4096,
        tap: Tap | None = None,
        recent_frames: RecentFrames | None = None,
    ) -> None:
        self.exchanges = 0
        self._recent_frames = recent_frames
        self._port = Port(port, serial_format, tap=tap)
        self._framer = Framer(cut, limit)
        self._dropped = 0
        self._ours = asyncio.Event()  # the port is not lent
        self._ours.set()

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
        while True:
            await self._ours.wait()
            try:
                stream = await self._opened(prepare)
                while True:
                    for frame in await self._heard(stream):
                        self.exchanges += 1
                        yield frame
            except BusError:
                if self._ours.is_set():  # else it is lent, and comes back
                    raise

    async def _opened(self, prepare: Callable[[Line], Awaitable[None]] | None) -> ByteStream:
        await asyncio.sleep(self._port.retry_in())
        stream = await self._port.stream()
        self._framer.clear()
        if prepare is not None:
            await prepare(SerialLine(self._port, self._port.serial_format))
            with suppress(ValueError):  # then the port has gone, and reading it says so
                stream.set_speed(self._port.serial_format.baud)
        return stream

    async def _heard(self, stream: ByteStream) -> list[bytes]:
        heard = await stream.read(missing=self._framer.missing)
        if stream.dropped:
            self._dropped += stream.dropped
            stream.dropped = 0
            self._framer.clear()  # what it holds has lost its continuation
        skipped = self._framer.skipped
        frames = self._framer.feed(heard)
        if self._recent_frames is not None and not frames and self._framer.skipped > skipped:
            self._recent_frames.add(b"", heard, "bytes in no frame")
        return frames

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Let another program have the port meanwhile. A reader of ``frames`` hears nothing as long."""
        self._ours.clear()
        self._port.release()
        try:
            yield
        finally:
            self._ours.set()

    async def close(self) -> None:
        """Give the port back. A reader of ``frames`` gets a BusError."""
        self._port.close()
