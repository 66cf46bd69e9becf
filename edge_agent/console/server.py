"""Where the page listens. Until somebody comes nothing of it is in memory."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

from edge_agent.backoff import Backoff
from edge_agent.settings.console import Console

log = logging.getLogger(__name__)


async def serve(settings: Console, make: Callable[[], Awaitable[Any]]) -> None:
    """Serve an application for ever, which is made once somebody comes.

    What goes wrong with the port or a certificate is told, and tried again.
    """
    backoff, told = Backoff(), ""
    while True:
        try:
            await _listen(settings, make)
        except OSError as error:
            problem = f"{settings.listen}: {error.strerror or error}"
            if problem != told:
                log.warning("console: %s; it is tried again", problem)
            told = problem
            await asyncio.sleep(backoff.next())


async def _listen(settings: Console, make: Callable[[], Awaitable[Any]]) -> None:
    """Serve until cancelled.

    Raises:
        OSError: the address cannot be had, or a certificate cannot be read.
    """
    tls = None
    if settings.cert is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(settings.cert, settings.key)
    host, port = settings.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.create_server((host, port), family=family)) as listening:
        listening.setblocking(False)
        log.info("console: %s://%s", "https" if tls else "http", settings.listen)
        await _somebody(listening)
        app = await make()
        from edge_agent.console import connections  # noqa: PLC0415 - with all that serves them

        await connections.connect(listening, tls, app)


async def _somebody(listening: socket.socket) -> None:
    """Wait until somebody connects, who then waits to be taken."""
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(listening, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(listening)
