"""How the agent lives under systemd, or in the foreground: signals, readiness, the exit code."""

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from edge_agent.agent.agent import Agent
from edge_agent.agent.systemd import keep_told, notify, ready
from edge_agent.backoff import Backoff
from edge_agent.console import run as console
from edge_agent.control.protocol import RefusedError, socket_paths
from edge_agent.control.server import Carry, Tell, serving
from edge_agent.diagnostics.recent_log import RecentLog
from edge_agent.metrics.server import exposing
from edge_agent.outbox.store import DamagedError, DiskError, OutboxError, ReadOnlyError
from edge_agent.settings.error import SettingsError
from edge_agent.settings.source import Source

EX_CONFIG = 78
"""A person must act: systemd does not restart (RestartPreventExitStatus=78)."""


_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))

log = logging.getLogger(__name__)


def serve(config: Path, place: Path | None = None, *, strict: bool = False) -> int:
    """Run the agent with a configuration file until SIGTERM or SIGINT; return the exit code.

    ``place`` is its control socket, where that is not the usual one. ``strict``: it does not begin with the
    last good configuration where the file cannot be used.

    75: the disk does not let it run now, to be tried again. 78: a person must act.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # one that comes before the agent runs asks for nothing
    source = Source(config, strict=strict)
    try:
        loaded = source.begin()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - before logging is set up
        return EX_CONFIG
    _begin_log(loaded.config.log.level)
    if loaded.config.console.listen:
        logging.getLogger().addHandler(RecentLog())
    for problem in source.problems:
        log.error("%s; the agent runs with the last good configuration", problem)
    for problem in loaded.left_out:
        log.error("%s; the agent runs without this device", problem)
    gc.collect()
    gc.freeze()  # what was imported stays: looking through it now and then would stop everything for a moment
    try:
        agent = Agent(loaded.config, on_ready=lambda: ready(agent.status()), source=source)
        backoff = Backoff()
        while not asyncio.run(_run(agent, place or socket_paths()[-1], backoff.next())):
            log.warning("starting again, with what waits in memory")
            agent = agent.successor()
        if agent.left:
            log.error("outbox: %d readings could not be written and are lost with this stop", agent.left)
    except OutboxError as error:
        log.error("%s", error)  # noqa: TRY400 - its text says all; a traceback would hide it
        return os.EX_TEMPFAIL if isinstance(error, DiskError) else EX_CONFIG
    return 0


async def _run(agent: Agent, place: Path, pause: float) -> bool:
    """Run until a signal. Returns False when the outbox fell, damaged or read-only: a successor goes on.

    ``pause`` is how long to wait before that, in seconds: a bad disk must not be rewritten without end.
    """
    loop = asyncio.get_running_loop()
    running = asyncio.current_task()
    bugs: list[Exception] = []
    stopped = asyncio.Event()

    def stop() -> None:
        notify("STOPPING=1")
        stopped.set()
        agent.stop()

    def fell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the process at a bug in a callback, which asyncio would only log: no half life."""
        loop.default_exception_handler(context)
        handle = context.get("handle")
        if handle is not None and running is not None and not _beside_agent(handle):
            bugs.append(context["exception"])
            running.cancel()

    carry = carry_out(agent)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    loop.set_exception_handler(fell)
    try:
        async with (
            serving(place, carry),
            _beside(keep_told(agent), "systemd"),
            _beside(reload_when(hung_up, agent), "reload"),
            _beside(console.run(agent.config.console, agent.config.outbox.path, carry), "console"),
            exposing(agent.config.metrics.listen, agent.status),
        ):
            try:
                await agent.run()
            finally:
                loop.remove_signal_handler(signal.SIGHUP)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what comes now asks for nothing
    except asyncio.CancelledError:
        if bugs:
            raise bugs[0] from None
        raise
    except (DamagedError, ReadOnlyError, BaseExceptionGroup) as error:
        if (
            isinstance(error, BaseExceptionGroup)
            and error.split((DamagedError, ReadOnlyError))[1] is not None
        ):
            raise  # something else went wrong too
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), pause)
    else:
        return True
    return stopped.is_set()


def carry_out(agent: Agent) -> Carry:
    """Return what carries out the verbs for an agent. They are loaded once somebody asks for one."""

    async def carry(name: str, args: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
        try:
            from edge_agent.control.verbs import verbs  # noqa: PLC0415 - most agents are asked by nobody
        except Exception as error:  # noqa: BLE001 - half a file says anything; the agent itself runs on
            raise _not_loaded(name, error) from None
        try:
            return await verbs(agent)(name, args, tell)
        except ImportError as error:  # some verbs load more
            raise _not_loaded(name, error) from None

    return carry


def _not_loaded(verb: str, error: Exception) -> RefusedError:
    """Say why a verb's program cannot be loaded: another version lies there by now, or the card is dying."""
    return RefusedError(
        f"{verb} cannot be loaded ({error}); restart the agent; if that does not help, check the card"
    )


def _begin_log(level: str) -> None:
    """Log to stderr: to the journal with each line's priority, which has its own time; else with the time."""
    journal = os.environ.get("JOURNAL_STREAM") == f"{(err := os.fstat(2)).st_dev}:{err.st_ino}"
    form = "%(levelname)s %(name)s: %(message)s"
    form = f"<%(priority)d>{form}" if journal else f"%(asctime)s {form}"
    logging.basicConfig(level=level.upper(), format=form, stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_prioritised)


def _prioritised(record: logging.LogRecord) -> bool:
    """Give a record the priority that sd-daemon(3) means by a number in front of the line."""
    record.priority = next(number for least, number in _PRIORITIES if record.levelno >= least)
    return True


def _beside_agent(handle: asyncio.Handle) -> bool:
    """Say whether a callback is of the console, which may fall without the agent."""
    # its get_context() is of Python 3.12
    return bool(handle._context.run(console.BESIDE.get))  # type: ignore[attr-defined]  # noqa: SLF001


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Have this done meanwhile."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def reload_when(asked: asyncio.Event, agent: Agent) -> None:
    """Reload whenever somebody has asked; once for all who asked while one is under way."""
    await agent.started.wait()
    while True:
        await asked.wait()
        asked.clear()
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        await agent.reload()
        ready(agent.status())
