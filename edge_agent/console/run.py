"""The console beside the agent: it comes up when it can, and when it falls it comes up again."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_agent.backoff import Backoff
from edge_agent.console import server, users
from edge_agent.control.server import Carry, Tell
from edge_agent.settings.console import Console

log = logging.getLogger(__name__)

_LIBRARIES = ("argon2", "h11", "jinja2", "starlette", "uvicorn")

BESIDE: ContextVar[bool] = ContextVar("console.beside", default=False)
"""Whether something runs for the console: what goes wrong there does not end the agent."""


async def run(settings: Console, outbox: Path, carry: Carry) -> None:
    """Serve the console for ever, if it is wanted. Nothing that goes wrong in it leaves this task."""
    if not settings.listen:
        return
    if missing := [library for library in _LIBRARIES if find_spec(library) is None]:
        log.error(
            "console: %s is missing; pip install 'smartpark-edge-agent[console]', or remove console.listen",
            ", ".join(missing),
        )
        return
    file = users.place(outbox)

    async def serve() -> None:
        await _password(settings, lambda: users.read(file))
        # without users the first thing it does is to tell the log a code
        made = None if await asyncio.to_thread(file.exists) else await make()

        async def app() -> Any:
            return made or await make()

        await server.serve(settings, app)

    async def make() -> Any:
        await asyncio.to_thread(_load)  # the agent runs on meanwhile: on a small board this takes a second
        from edge_agent.console import overview, site  # noqa: PLC0415 - most of the time nobody looks

        async def ask(verb: str, args: Mapping[str, Any], tell: Tell = overview.silent) -> Mapping[str, Any]:
            agents = BESIDE.set(False)  # a reload begins tasks of the agent, which are no part of the console
            try:
                return await carry(verb, args, tell)
            finally:
                BESIDE.reset(agents)

        return site.make(settings, file, ask, time.monotonic)

    BESIDE.set(True)
    backoff = Backoff()
    while True:
        try:
            await _alone(serve())
        except users.UsersError as error:
            log.error("console: %s", error)  # noqa: TRY400 - its text says all
        except Exception:
            log.exception("console: it fell, and comes up again; the readings are not touched by it")
        await asyncio.sleep(backoff.next())


def _load() -> None:
    """Import what only a console needs that somebody looks at."""
    from edge_agent.console import connections, site  # noqa: F401, PLC0415


async def _alone(work: Coroutine[Any, Any, None]) -> None:
    """Do this in a task of its own, so that what cancels it cancels nothing else.

    Raises:
        RuntimeError: it was cancelled, or came to an end.
    """
    task = asyncio.create_task(work, name="console.serve")
    try:
        await asyncio.wait((task,))
    finally:
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
    raise RuntimeError("it was cancelled" if task.cancelled() else "it has ended")


async def _password(settings: Console, known: Callable[[], Mapping[str, Any]]) -> None:
    """Wait until somebody has a password, where other machines reach the page: the code is for this one."""
    backoff, told = Backoff(), False
    while not settings.is_local and not known():
        if not told:
            log.warning(
                "console: %s stays closed while nobody has a password; set one: edge-agent console password",
                settings.listen,
            )
        told = True
        await asyncio.sleep(backoff.next())
