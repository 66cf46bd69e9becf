"""The demo as a whole: a park, a broker and the agent between them, shown while they run."""

import asyncio
import fcntl
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live

from edge_agent.agent.agent import Agent
from edge_agent.console import run as console
from edge_agent.control.server import serving
from edge_agent.control.verbs import verbs
from edge_agent.demo import broker, config, on_air, page, park, report, screen
from edge_agent.demo.broken import DemoError
from edge_agent.diagnostics.recent_log import RecentLog
from edge_agent.settings import console_file
from edge_agent.settings.model import Config
from edge_agent.settings.source import Source
from edge_agent.status import Status

_REFRESH, _LINE_EVERY = 0.5, 1.0
_OUTAGE_AFTER = 10.0  # seconds, where the demo has no end
_START_AGAIN = 5.0
_STOP_WITHIN = 10.0
_DRAIN_WITHIN, _DRAIN_LOOK = 5.0, 0.1
_RECONNECT_WITHIN = 20.0  # the agent comes back with jitter: 10 s after an outage of 10 s is not rare


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, times in seconds. None: for ever, no outage, a directory for a while."""

    seconds: float | None = None
    as_json: bool = False
    broker: str = ""
    directory: Path | None = None
    outage: float | None = None

    def check(self) -> None:
        """Refuse what cannot be shown.

        Raises:
            DemoError: no time at all, or an outage of a broker that is not ours, or one without an end.
        """
        for option, asked in (("--for", self.seconds), ("--outage", self.outage)):
            if asked is not None and asked <= 0:
                raise DemoError(f"{option} is no time at all; give more, such as 30s, or leave it out")
        if self.outage and self.broker:
            raise DemoError(
                "--outage takes away the demo's own broker, not the one of --broker; "
                "leave out one of them, or stop your broker by hand while the demo runs"
            )
        if self.outage and self.seconds and self.outage >= self.seconds * 2 / 3:
            raise DemoError(
                "--outage begins after a third of --for and must end before it; make --for longer"
            )

    @property
    def outage_after(self) -> float:
        """When the broker is taken away, in seconds after the start."""
        return self.seconds / 3 if self.seconds else _OUTAGE_AFTER


async def run(options: Options) -> None:
    """Run the demo until its time is over, or until SIGINT or SIGTERM.

    Raises:
        DemoError: something is missing or in the way.
    """
    options.check()
    theirs = broker.login_of(options.broker) if options.broker else None
    # before anything is made that must be taken away again
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    with _directory(options.directory) as directory, _alone(directory):
        async with AsyncExitStack() as stack:
            live = sys.stdout.isatty() and not options.as_json
            stack.enter_context(_logging(directory if live else None))
            air_secrets = config.secrets_folder(directory)
            no_air = stack.enter_context(on_air.running(directory, air_secrets))
            devices = await stack.enter_async_context(
                park.running(directory, None if no_air else air_secrets)
            )
            served: broker.Broker | None = None
            login = theirs or broker.own_login(directory)
            if theirs is None:
                served = await stack.enter_async_context(broker.running(directory, login))
            title = served.title if served else "your own"
            outbox = config.outbox_file(directory)
            operators = page.OperatorsPage() if options.as_json else page.prepare(outbox)
            heading = screen.Heading(
                title,
                login,
                directory,
                config.TOPICS,
                temporary=options.directory is None,
                no_air=no_air,
                page=str(operators),
            )
            if no_air and options.as_json:
                logging.getLogger(__name__).warning("no BLE sensors: %s", no_air)
            protocol = served.protocol if served else "auto"
            file = config.write(directory, login, protocol, ble=not no_air, listen=operators.listen)
            os.environ["CREDENTIALS_DIRECTORY"] = str(config.secrets_folder(directory))
            console_file.write(file, "")
            source = Source(file, strict=True)
            settings = source.begin().config
            if ending.is_set():  # nothing was kept, and a program is told so, too
                unused = Agent(settings).status()
                report.Lines(as_json=options.as_json, gone=ending.set).summary(unused)
                return
            await _run_agent(options, heading, (settings, source), devices.wait, served, ending)


async def _run_agent(  # noqa: PLR0913, PLR0917 - what was made for it, one by one
    options: Options,
    heading: screen.Heading,
    configured: tuple[Config, Source],
    park_ended: Callable[[], Awaitable[int]],
    served: broker.Broker | None,
    ending: asyncio.Event,
) -> None:
    lines = report.Lines(as_json=options.as_json, gone=ending.set)
    settings, source = configured
    agent = Agent(settings, on_acknowledged=lines.acknowledged if options.as_json else None, source=source)
    place = config.control_socket(settings.outbox.path.parent)
    async with serving(place, verbs(agent)), asyncio.TaskGroup() as group:
        running = group.create_task(agent.run(), name="agent")
        gone = group.create_task(_wait(park_ended), name="demo.park")
        asked = group.create_task(_wait(ending.wait), name="demo.ending")
        shown = group.create_task(_show(agent.status, options, heading, lines), name="demo.screen")
        pages = console.run(settings.console, settings.outbox.path, verbs(agent))
        aside = [gone, asked, shown, group.create_task(pages, name="console")]
        if served is not None and options.outage:
            outage = _outage(served, options.outage_after, options.outage, lines.remark)
            aside.append(group.create_task(outage, name="demo.outage"))
        ended, _ = await asyncio.wait(
            (running, gone, asked), timeout=options.seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if not ended:
            await _drain(agent.status, ending, _RECONNECT_WITHIN if options.outage else _DRAIN_WITHIN)
        broken = gone.done() and not running.done()
        agent.stop()
        await asyncio.wait((running,), timeout=_STOP_WITHIN)
        for task in (*aside, running):
            task.cancel()
    if broken:
        raise DemoError("the simulated park has ended by itself; its reason is printed above")
    lines.summary(agent.status())


async def _drain(status: Callable[[], Status], ending: asyncio.Event, within: float) -> None:
    """Wait until nothing is owed to the broker, at most so many seconds; Ctrl-C ends that too."""
    until = asyncio.get_running_loop().time() + within
    while screen.totals(status()).backlog and not ending.is_set():
        if asyncio.get_running_loop().time() > until:
            return
        await asyncio.sleep(_DRAIN_LOOK)


async def _wait(event: Callable[[], Awaitable[object]]) -> None:
    await event()


async def _show(
    status: Callable[[], Status], options: Options, heading: screen.Heading, lines: report.Lines
) -> None:
    if options.as_json:
        return
    if not sys.stdout.isatty():
        lines.plain(screen.opening(heading))
        while True:
            await asyncio.sleep(_LINE_EVERY)
            lines.plain(screen.line(status()))
    terminal = Console()
    with Live(console=terminal, auto_refresh=False) as live:
        while True:
            live.update(screen.fitted(status(), heading, terminal), refresh=True)
            await asyncio.sleep(_REFRESH)


async def _outage(served: broker.Broker, after: float, seconds: float, remark: Callable[[str], None]) -> None:
    await asyncio.sleep(after)
    await served.stop()
    remark("-- broker taken away")
    await asyncio.sleep(seconds)
    while True:
        try:
            await served.start()
        except DemoError as error:  # the demo goes on: that is what an outage looks like
            remark(f"-- {error}")
            await asyncio.sleep(_START_AGAIN)
        else:
            remark("-- broker back")
            return


@contextmanager
def _directory(wanted: Path | None) -> Iterator[Path]:
    if wanted is not None:
        try:
            wanted.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _not_there(wanted, error) from None
        yield wanted.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="edge-agent-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep a second demo out of the directory. The kernel gives it free when this process ends."""
    try:
        lock = (directory / "demo.lock").open("w")
    except OSError as error:
        raise _not_there(directory, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"another demo runs in {directory}; end it, or choose another --dir") from None
        yield


def _not_there(directory: Path, error: OSError) -> DemoError:
    return DemoError(
        f"nothing can be written in --dir {directory} ({error.strerror}); "
        "choose a directory of your own, or leave --dir out"
    )


@contextmanager
def _logging(directory: Path | None) -> Iterator[None]:
    """Log to a file beside the others while the screen is in use (``directory``), else to stderr."""
    handler = logging.FileHandler(directory / "agent.log") if directory else logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root, level, recent = logging.getLogger(), logging.getLogger().level, RecentLog()
    root.addHandler(handler)
    root.addHandler(recent)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.removeHandler(recent)
        root.setLevel(level)
        handler.close()
