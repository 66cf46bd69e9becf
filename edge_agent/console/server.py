"""The console's connections: few, each with a time, and all of them beside the agent, never in its way."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from edge_agent.backoff import Backoff
from edge_agent.settings.console import Console

log = logging.getLogger(__name__)

App = Callable[..., Any]

_MOST_CONNECTIONS = 40
_REQUEST_S = 10.0  # until a connection must have sent its first request
_KEEP_ALIVE_S = 15
_LARGEST_HEAD = 16_384  # bytes
_GOODBYE_S = 2.0


async def serve(settings: Console, app: App) -> None:
    """Serve an application for ever. What goes wrong with the port is told, and tried again."""
    backoff, told = Backoff(), ""
    while True:
        try:
            await _listen(settings, app)
        except OSError as error:
            problem = f"{settings.listen}: {error.strerror or error}"
            if problem != told:
                log.warning("console: %s; it is tried again", problem)
            told = problem
            await asyncio.sleep(backoff.next())


async def _listen(settings: Console, app: App) -> None:
    """Serve until cancelled.

    uvicorn's own loop looks ten times a second whether it should end, and takes the signals; its protocol
    needs neither.

    Raises:
        OSError: the address cannot be had, or a certificate cannot be read.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        log_level="critical",  # of what browsers do wrong; a hostile one must not fill the journal
        server_header=False,
        date_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
        ssl_certfile=settings.cert,
        ssl_keyfile=settings.key,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()

    def connection() -> H11Protocol:
        made = H11Protocol(config=config, server_state=state, app_state={}, _loop=loop)
        loop.call_later(_REQUEST_S, _drop_if_silent, made)
        return made

    host, port = settings.address
    server = await loop.create_server(
        connection, host, port, ssl=config.ssl, family=socket.AF_UNSPEC, reuse_address=True
    )
    scheme = "https" if config.ssl else "http"
    log.info("console: %s://%s", scheme, settings.listen)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        for each in list(state.connections):
            each.shutdown()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_GOODBYE_S)
        for each in list(state.connections):
            each.transport.abort()
        for task in state.tasks:
            task.cancel()


def _drop_if_silent(connection: H11Protocol) -> None:
    """End a connection that has not sent the head of a request yet."""
    request: object = connection.cycle
    if request is None:
        connection.transport.abort()
