"""A TCP proxy between the agent and a broker, to be made worse and better from the test while it runs."""

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.faults import wire
from tests.faults.broker import free_port

_SMALL_BUFFER = 16 * 1024  # so that what a slow link does not take stays with the sender
_PIECE = 4096
_THROTTLED_PIECE = 512


class Proxy:
    """Forwards connections on ``port`` to a broker on loopback.

    ``delay``: seconds each way. ``rate``: bytes a second each way, None for no limit. ``swallow``: nothing
    is forwarded and nobody is told, not even that the other side closed: a half-open link. What stood in
    the way is delivered once it is over, as TCP would do. ``withhold``: PUBACKs stay here until the
    connection ends. ``lose``: how many of the next PUBACKs are dropped. ``cut_after``: so many bytes from
    the agent are still forwarded, then the connection is reset.
    """

    def __init__(self, upstream: int) -> None:
        self.delay = 0.0
        self.rate: float | None = None
        self.withhold = False
        self.lose = 0
        self.cut_after: int | None = None
        self.accepted: list[float] = []  # when connections came, loop time
        self.opened: list[float] = []  # when they reached the broker
        self.cuts = 0
        self.up = 0  # bytes forwarded from the agent
        self.acks = 0  # PUBACKs forwarded to it
        self.acks_kept_back = 0
        self.port = free_port()
        self._upstream = upstream
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    @property
    def swallow(self) -> bool:
        return not self._flowing.is_set()

    @swallow.setter
    def swallow(self, on: bool) -> None:
        if on:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def listen(self) -> None:
        """Take connections, again on the same port."""
        if self._server is not None:
            return
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        sock.bind(("127.0.0.1", self.port))
        self._server = await asyncio.start_server(self._accepted, sock=sock, limit=2 * _PIECE)

    async def refuse(self) -> None:
        """Take no connections, and cut those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def cut(self) -> None:
        """Reset every connection, both ways."""
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self.accepted.append(asyncio.get_running_loop().time())
        try:
            await self._forward(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            self.cuts += 1
        finally:
            self._links.discard(task)
            _reset(writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._upstream, limit=1 << 20)
        self.opened.append(asyncio.get_running_loop().time())
        upward, downward = _Lane(self, ours), _Lane(self, writer)
        work = (self._up(reader, upward), upward.carry(), self._down(theirs, downward), downward.carry())
        tasks = [asyncio.create_task(one) for one in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            _reset(ours)

    async def _up(self, reader: asyncio.StreamReader, lane: "_Lane") -> None:
        while piece := await reader.read(_THROTTLED_PIECE if self.rate else _PIECE):
            whole = len(piece)
            if self.cut_after is not None:
                piece = piece[: self.cut_after]  # what is beyond the cut never travels
                self.cut_after -= len(piece)
            self.up += len(piece)
            await lane.put(piece)
            if self.cut_after == 0 or len(piece) < whole:
                self.cut_after = None
                await lane.emptied()
                self.cuts += 1
                return
        await self._flowing.wait()  # a close travels no better than anything else

    async def _down(self, reader: asyncio.StreamReader, lane: "_Lane") -> None:
        while True:
            first, _, raw = await wire.packet(reader)
            if first >> 4 == wire.PUBACK:
                if self.lose or self.withhold:
                    self.lose = max(0, self.lose - 1)
                    self.acks_kept_back += 1
                    continue
                self.acks += 1
            await lane.put(raw)


class _Lane:
    """One direction of a link: what is put in comes out after the delay, at the rate."""

    def __init__(self, proxy: Proxy, writer: asyncio.StreamWriter) -> None:
        self._proxy, self._writer = proxy, writer
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

    async def put(self, piece: bytes) -> None:
        rate = self._proxy.rate
        if rate:
            await asyncio.sleep(len(piece) / rate)
        await self._queue.put((self._loop.time() + self._proxy.delay, piece))

    async def carry(self) -> None:
        while True:
            due, piece = await self._queue.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await self._proxy._flowing.wait()
            self._writer.write(piece)
            await self._writer.drain()
            self._queue.task_done()

    async def emptied(self) -> None:
        await self._queue.join()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that nothing waits for a polite end."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
