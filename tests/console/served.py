"""A console in this process, beside an agent that does not run."""

import asyncio
import ssl
import time
import urllib.parse
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from starlette.types import ASGIApp

from edge_agent.console import server, site, users
from edge_agent.console.overview import Ask
from edge_agent.control.protocol import RefusedError
from edge_agent.settings.console import Console
from edge_agent.status import Status, as_json
from tests.console.rig import PASSWORD
from tests.faults.broker import free_port
from tests.uplink import keys

FORM = "Content-Type: application/x-www-form-urlencoded"
SOON = 60.0  # seconds


async def no_agent(_verb: str, _args: Mapping[str, Any], *_tell: object) -> NoReturn:
    raise AssertionError("nobody who is not logged in asks the agent")


NEW = Status("park", "gw", "e", 1.0, 0, 0, 0, "synchronised", 9, 9, "", (), ())


async def new_agent(verb: str, _args: Mapping[str, Any], *_tell: object) -> Mapping[str, Any]:
    """Answer as one that has no device yet."""
    if verb == "status":
        return as_json(NEW)
    raise RefusedError("the agent is about to start; try again in a minute")


class Served:
    """A console in this process; what is sent to it is written by hand."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.port, self._tls = port, tls
        self.base = f"http{'s' if tls else ''}://127.0.0.1:{port}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with asyncio.timeout(SOON):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls)
            try:
                yield reader, writer
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def ask(self, head: str, *lines: str, body: bytes = b"") -> bytes:
        """Send a request of these lines; return all that comes until the connection is closed."""
        host = f"127.0.0.1:{self.port}"
        first = (f"{head} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", "Connection: close")
        async with self.open() as (reader, writer):
            writer.write("\r\n".join((*first, *lines, "", "")).encode() + body)
            return await reader.read()

    async def log_in(self, password: str, *lines: str) -> bytes:
        """Send the form of the page; return the status."""
        body = urllib.parse.urlencode({"name": "admin", "password": password}).encode()
        origin = f"Origin: http://127.0.0.1:{self.port}"
        return (await self.ask("POST /login", FORM, *(lines or (origin,)), body=body))[9:12]


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    tls: bool = False,
    password: str = PASSWORD,
    now: Callable[[], float] = time.monotonic,
    ask: Ask = no_agent,
) -> AsyncIterator[Served]:
    """Serve it beside an agent that does not run; without a password nobody has one."""
    told, context = {"listen": f"127.0.0.1:{free_port()}"}, None
    if tls:
        keys.authority(folder, "ca")
        keys.signed(folder, "server")
        told |= {"cert": str(folder / "server.pem"), "key": str(folder / "server.key")}
        context = ssl.create_default_context(cafile=folder / "ca.pem")
    settings = Console.model_validate(told)
    if password:
        users.set_password(folder / "console.json", "admin", password, "operator")

    async def make() -> ASGIApp:
        return site.make(settings, folder / "console.json", ask, now)

    task = asyncio.create_task(server.serve(settings, make))
    made = Served(settings.address[1], context)
    try:
        async with asyncio.timeout(SOON):
            while True:
                with suppress(OSError):
                    async with made.open():
                        break
                await asyncio.sleep(0.05)
        yield made
    finally:
        task.cancel()
        await asyncio.wait((task,))
