"""As much HTTP as Prometheus needs: GET /metrics, one answer per connection, on the agent's own loop."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from edge_agent.settings.listen_address import split
from edge_agent.status import Status

log = logging.getLogger(__name__)

_MOST_CLIENTS = 4
_LONGEST_REQUEST = 8_192  # bytes
_WITHIN_S = 10.0


@asynccontextmanager
async def exposing(at: str, status: Callable[[], Status]) -> AsyncIterator[None]:
    """Serve metrics at ``address:port`` within the context ("": not at all); log it if that one is taken."""
    if not at:
        yield
        return
    from edge_agent.metrics import exposition  # noqa: PLC0415 - loaded where it is used

    clients: set[asyncio.Task[None]] = set()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(clients) >= _MOST_CLIENTS:
            writer.transport.abort()
            return
        task = asyncio.create_task(_answer(reader, writer, text), name="metrics.client")
        clients.add(task)
        task.add_done_callback(ended)

    def ended(task: asyncio.Task[None]) -> None:
        clients.discard(task)
        if not task.cancelled():
            task.result()  # a bug ends the agent, here as elsewhere

    def text() -> bytes:
        return exposition.exposed(status())

    try:
        server = await asyncio.start_server(take, *split(at), limit=_LONGEST_REQUEST)
    except OSError as error:
        log.warning(
            "metrics: nobody can be answered at %s (%s); give metrics.listen another port", at, error.strerror
        )
        yield
        return
    try:
        yield
    finally:
        server.close()
        for task in tuple(clients):
            task.cancel()
        if clients:
            await asyncio.wait(tuple(clients))
        await server.wait_closed()


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: Callable[[], bytes]
) -> None:
    try:
        # it is gone, too slow, or says no HTTP
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_WITHIN_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head.partition(b"\r\n")[0], text))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
    finally:
        writer.transport.abort()


def _response(request: bytes, text: Callable[[], bytes]) -> bytes:
    match request.split(b" "):
        case [b"GET", path, version] if version.startswith(b"HTTP/1."):
            if path.partition(b"?")[0] == b"/metrics":
                return _made("200 OK", text())
            return _made("404 Not Found", b"the metrics are at /metrics\n")
        case [_, _, version] if version.startswith(b"HTTP/1."):
            return _made("405 Method Not Allowed", b"only GET is answered\n")
    return _made("400 Bad Request", b"this is no HTTP/1.1\n")


def _made(status: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
