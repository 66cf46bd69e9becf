"""The agent's end of the control socket: a few clients at once, each with one request at a time."""

import asyncio
import logging
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from edge_agent.control.protocol import LONGEST_REQUEST, VERSION, RefusedError, Request

log = logging.getLogger(__name__)

Tell = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Tells the client how far a verb has come."""

Carry = Callable[[str, Mapping[str, Any], Tell], Awaitable[Mapping[str, Any]]]
"""Carries out a verb with its arguments; raises RefusedError when it cannot."""

_MOST_CLIENTS = 16
_IDLE_S = 60.0  # between two requests
_SLOW_S = 10.0  # until a client that does not read is dropped
_MODE = 0o660


class _InUseError(OSError):
    """Another agent answers at this place."""


@asynccontextmanager
async def serving(place: Path, carry: Carry) -> AsyncIterator[None]:
    """Serve the control socket within the context; if it cannot be made, log that and continue without."""
    try:
        listening = _listening(place)
    except OSError as error:
        log.warning(
            "control: %s cannot be made (%s); nobody can ask this agent; give it a place with --socket",
            place,
            error.strerror or error,
        )
        yield
        return
    clients = _Clients(carry)
    server = await asyncio.start_unix_server(clients.take, sock=listening, limit=LONGEST_REQUEST)
    try:
        yield
    finally:
        server.close()
        await clients.close()
        await server.wait_closed()
        _remove(place)


def _listening(place: Path) -> socket.socket:
    """Make the socket, in place of one that a dead agent left behind."""
    place.parent.mkdir(mode=0o750, exist_ok=True)
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(place.lstat().st_mode):
            raise FileExistsError(0, "there is a file of that name")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(place))
            except ConnectionRefusedError:
                place.unlink()
            except BlockingIOError:  # it has a queue of those who wait
                raise _InUseError(0, "another agent answers there") from None
            else:
                raise _InUseError(0, "another agent answers there")
    made = socket.socket(socket.AF_UNIX)
    try:
        made.bind(str(place))
        place.chmod(_MODE)  # until it listens, nobody can connect
    except BaseException:
        made.close()
        raise
    return made


def _remove(place: Path) -> None:
    place.unlink(missing_ok=True)


class _Clients:
    """The connected clients."""

    def __init__(self, carry: Carry) -> None:
        self._carry = carry
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client that has connected, or refuse it if there are too many."""
        if len(self._tasks) >= _MOST_CLIENTS:
            writer.write(_line("", error=f"{_MOST_CLIENTS} programs ask this agent already; try again later"))
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer), name="control.client")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()  # a bug ends the agent, here as elsewhere

    async def close(self) -> None:
        """Disconnect all clients."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, TimeoutError):  # it is gone, idle, or does not read
                while await self._next(reader, writer):
                    pass
                writer.close()
                async with asyncio.timeout(_SLOW_S):
                    await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether there may be another."""
        try:
            async with asyncio.timeout(_IDLE_S):
                line = await reader.readline()
        except ValueError:
            await _send(writer, _line("", error=f"a request has at most {LONGEST_REQUEST} bytes"))
            return False
        if not line.endswith(b"\n"):
            return False
        try:
            request = Request.model_validate_json(line)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, wrong["loc"]))
            refusal = f"this is no request ({place}: {wrong['msg']}); this agent speaks version {VERSION}"
            await _send(writer, _line("", error=refusal))
            return True
        return await self._carried_out(request, reader, writer)

    async def _carried_out(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        async def tell(progress: Mapping[str, Any]) -> None:
            await _send(writer, _line(request.id, progress=progress))

        async def work() -> bytes:
            try:
                return _line(request.id, ok=await self._carry(request.verb, request.args, tell))
            except RefusedError as error:
                return _line(request.id, error=str(error))

        working = asyncio.create_task(work(), name=f"control[{request.verb}]")
        leaving = asyncio.create_task(reader.read(1), name="control.leaving")
        try:
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, leaving):
                task.cancel()
            await asyncio.wait((working, leaving))
        if working.cancelled():  # the client left first: what it asked for has ended
            return False
        await _send(writer, working.result())
        return leaving.cancelled()


def _line(id_: str, **said: object) -> bytes:
    return orjson.dumps({"v": VERSION, "id": id_} | said, option=orjson.OPT_APPEND_NEWLINE)


async def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line)
    async with asyncio.timeout(_SLOW_S):
        await writer.drain()
