"""The page's connections: few, each with a time, and all of them beside the agent, never in its way."""

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

from starlette.types import Receive, Scope, Send

from edge_agent.console.guests import Guest, Guests, Pace
from edge_agent.console.tries import from_address

# uvicorn loads its command line with anything of it, and that click and multiprocessing: 1.6 MB that nobody
# here uses. A blank stands for it, in which every name is there and is nothing.
if "uvicorn.main" not in sys.modules:
    _blank = ModuleType("uvicorn.main")
    vars(_blank)["__getattr__"] = lambda _name: None
    sys.modules["uvicorn.main"] = _blank

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

App = Callable[..., Any]

_REQUEST_S = 10.0  # for a handshake; for a request; and for a browser that does not read what is sent
_FULL_S = 1.0  # until the next connection is looked at, where the machine has no descriptor for it
_KEEP_ALIVE_S = 15
_LARGEST_HEAD = 16_384  # bytes
_GOODBYE_S = 2.0
# So many at once, then one in so many seconds: a crowd waits, in the kernel or for its answers.
_COMING = 50, 0.04
_OF_STRANGERS = 40, 0.05
_OF_USERS = 100, 0.02


async def connect(listening: socket.socket, tls: ssl.SSLContext | None, app: App) -> None:
    """Serve an application to whoever connects, until cancelled.

    uvicorn's own loop looks ten times a second whether it should end, and takes the signals; its protocol
    needs neither.
    """
    config = Config(
        _paced(app),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        log_level="critical",  # of what browsers do wrong; a hostile one must not fill the journal
        server_header=False,
        date_header=False,
        proxy_headers=False,  # anybody can write them: an address must be the one that asks
        timeout_keep_alive=_KEEP_ALIVE_S,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()

    def connection(guest: Guest) -> H11Protocol:
        return H11Protocol(config=config, server_state=state, app_state={"guest": guest}, _loop=loop)

    try:
        await _accept(listening, connection, tls, state)
    finally:
        listening.close()
        for each in list(state.connections):
            each.shutdown()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_GOODBYE_S)
        for each in list(state.connections):
            each.transport.abort()
        for task in state.tasks:
            task.cancel()


def _paced(app: App) -> App:
    """Let an application have so many requests in a time: of strangers, and of who is logged in."""
    now = asyncio.get_running_loop().time
    strangers, users = Pace(now, *_OF_STRANGERS), Pace(now, *_OF_USERS)

    async def paced(scope: Scope, receive: Receive, send: Send) -> None:
        guest: Guest = scope["state"]["guest"]
        await asyncio.sleep((users if guest.user else strangers).wait())
        if guest.here:  # else nobody hears the answer
            await app(scope, receive, send)

    return paced


async def _accept(
    listening: socket.socket,
    connection: Callable[[Guest], H11Protocol],
    tls: ssl.SSLContext | None,
    state: ServerState,
) -> None:
    """Take connections, and no more than there may be: asyncio's own server has no such limit."""
    loop = asyncio.get_running_loop()
    guests, pace = Guests(), Pace(loop.time, *_COMING)

    async def begin(guest: Guest, taken: socket.socket) -> None:
        with suppress(OSError):  # it went, is too slow, or speaks no TLS
            _, guest.connection = await loop.connect_accepted_socket(
                lambda: connection(guest), taken, ssl=tls, ssl_handshake_timeout=_REQUEST_S if tls else None
            )
            loop.call_later(_REQUEST_S, _drop_if_slow, guest.connection, state, None, False)

    async with asyncio.TaskGroup() as tasks:
        while True:
            try:
                taken, address = await loop.sock_accept(listening)
            except OSError:  # no descriptor is left, or it went before it was here
                await asyncio.sleep(_FULL_S)
                continue
            guest = guests.enter(from_address(address[0]).name)
            guest.beginning = tasks.create_task(begin(guest, taken), name="console.connection")
            await asyncio.sleep(pace.wait())


def _drop_if_slow(connection: H11Protocol, state: ServerState, answered: object, stuck: bool) -> None:  # noqa: FBT001 - what was seen the last time
    """End a connection that has sent no further request since we looked, or does not read.

    ``answered``: the last request, where it was answered by then, None where none had come; ``stuck``: it had
    not read what was sent.
    """
    if connection not in state.connections:
        return
    cycle: object = connection.cycle
    done = cycle is None or connection.cycle.response_complete
    paused = connection.flow.write_paused
    if (done and cycle is answered) or (stuck and paused):
        connection.transport.abort()
        return
    asyncio.get_running_loop().call_later(
        _REQUEST_S, _drop_if_slow, connection, state, cycle if done else connection, paused
    )
