"""The composition root: builds the rooms from a configuration, starts them, and stops them in order."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent import __version__, board
from edge_agent.agent import startup_status
from edge_agent.agent.layout import Layout, lay_out
from edge_agent.agent.supervisor import InUseError, Supervisor
from edge_agent.bus.serial import BusError
from edge_agent.clock import Clock, SystemClock, on_clock_steps
from edge_agent.event import GATEWAY, Event
from edge_agent.outbox import volatile
from edge_agent.outbox.handover import Carried
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.outbox.store import DiskError
from edge_agent.reconfiguration.difference import refused
from edge_agent.reconfiguration.reload_result import ReloadResult
from edge_agent.registry import UnknownDriverError
from edge_agent.settings import model
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.load import Loaded
from edge_agent.settings.source import Source
from edge_agent.status import Status
from edge_agent.uplink.interfaces import Acknowledged

if TYPE_CHECKING:
    from edge_agent.reconfiguration.editor import ConfigEditor, EditResult  # loaded where somebody asks

log = logging.getLogger(__name__)

_READ_ONLY = (
    "the card is read-only; readings are kept in memory, and a power cut loses them; replace the card"
)
_CANNOT_NOW = ReloadResult(
    problems=(Problem("the agent", 0, "", "is about to start or to stop", "try again in a minute"),)
)
_NO_SOURCE = ReloadResult(
    problems=(Problem("the agent", 0, "", "was started without a file to reload", "restart it with one"),)
)
_UPLINK_STOP_S = 2.5  # for the last PUBACKs, within the 5 s of a clean stop


class Agent:
    """One gateway's agent. ``run`` runs until ``stop``; ``status`` can be called at any time.

    ``on_ready`` is called once the outbox is open and every device's task has started; ``on_acknowledged``
    for each message of readings that a broker has acknowledged. ``source`` is where the configuration is
    read from; without one it cannot be reloaded.
    """

    def __init__(
        self,
        config: model.Config,
        *,
        clock: Clock | None = None,
        on_ready: Callable[[], None] = lambda: None,
        on_acknowledged: Callable[[Acknowledged], None] | None = None,
        source: Source | None = None,
    ) -> None:
        self._config = config
        self._clock = clock or SystemClock(config.clock.trust)
        self._on_ready, self._on_acknowledged = on_ready, on_acknowledged
        self.started, self._stopping = asyncio.Event(), asyncio.Event()
        self._started_ms = self._clock.mono_ms()
        self._outbox: Outbox | None = None
        self.running: Supervisor | None = None
        self._changing = asyncio.Lock()
        self._source = source
        self._not_applied = _not_applied(source.problems) if source and source.problems else ""
        self._carried = Carried()
        self._remembered: Mapping[str, bytes] = {}  # state of devices, by id, from an outbox that failed
        self._volatile = False

    @cached_property
    def config_editor(self) -> "ConfigEditor | None":
        """Edits the configuration files for the console; None if the agent was started without files."""
        from edge_agent.reconfiguration.editor import ConfigEditor  # noqa: PLC0415 - few gateways are asked

        source = self._source
        return ConfigEditor(source.path, self._config.outbox.path, self) if source else None

    @property
    def config(self) -> model.Config:
        """The configuration in use."""
        return self._config

    @property
    def _waiting(self) -> Carried:
        """Readings that are in memory only: not written by the outbox, or not adopted by it yet."""
        return (
            self._outbox.unwritten
            if self._outbox is not None and self._outbox.unwritten.total
            else self._carried
        )

    @property
    def left(self) -> int:
        """How many readings are in memory only, after the outbox failed; a successor writes them."""
        fell = self._outbox is None or self._outbox.unwritable
        return self._waiting.total if fell else 0

    def successor(self) -> "Agent":
        """Return a new agent that takes over after this one's outbox failed, with the readings in memory."""
        agent = Agent(
            self._config,
            clock=self._clock,
            on_ready=self._on_ready,
            on_acknowledged=self._on_acknowledged,
            source=self._source,
        )
        agent._carried, agent._not_applied = self._waiting, self._not_applied
        agent._remembered = self._outbox.device_memory.known if self._outbox is not None else self._remembered
        return agent

    def stop(self) -> None:
        """End ``run``, in order and within 5 s."""
        self._stopping.set()

    def lent(self, port: str, to: str) -> AbstractAsyncContextManager[str]:
        """Lend a port to another program within the context; yields its bus, "" if no bus has it.

        Raises:
            BusError: it is lent already, or the agent is starting, stopping or reloading.
        """
        if self.running is None or self._changing.locked():
            raise BusError("the agent is about to start, to stop or to reload; try again in a minute")
        return self.running.buses.lent(port, to)

    async def answers(self, within: float) -> bool:
        """Say whether the outbox's writer responds within so many seconds; True while it is not open."""
        try:
            async with asyncio.timeout(within):
                if self._outbox is not None:
                    await self._outbox.ping()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Run until ``stop``.

        Raises:
            OutboxError: the outbox cannot be used.
            DamagedError, ReadOnlyError: alone or in a group; continue with ``successor``.
        """
        config = self._config
        layout, stored = lay_out(config), config.outbox
        path = stored.path
        self._volatile = volatile.is_read_only(path)
        if self._volatile:
            path = volatile.place(config.gateway.id)
            log.error("outbox: %s; %s waits until it can be written", _READ_ONLY, stored.path)
        outbox = self._outbox = await Outbox.open(
            path,
            Identity(config.gateway.site, config.gateway.id),
            self._policy(config),
            self._clock,
            list(config.uplink),
            layout.selections,
            None if self._volatile else volatile.left(config.gateway.id),
        )
        outbox.device_memory.carry(self._remembered)
        if self._volatile:
            await outbox.commands.recall(stored.path)
        try:
            await self._run(outbox, layout)
        finally:
            await outbox.close()
            if self._volatile and (owed := max((up.backlog for up in outbox.deliveries.values()), default=0)):
                log.error("outbox: %d readings in memory were not sent; a power cut loses them", owed)

    async def _run(self, outbox: Outbox, layout: Layout) -> None:
        await outbox.events.enroll()
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(outbox.run(), name="outbox.writer")
            self.running = running = Supervisor(
                group, outbox, self._clock, self._config, self.status, self._on_acknowledged
            )
            with on_clock_steps(running.clock_set):
                try:
                    running.events.tell(
                        Event("restarted", GATEWAY, self._started_ms, f"version {__version__}")
                    )
                    await running.change(layout, self._policy(self._config))
                    outbox.adopt(self._carried)
                    self._carried = Carried()
                    self.started.set()
                    self._on_ready()
                    if self._source is not None:
                        running.beside(asyncio.to_thread(self._source.ran), "last good")
                    await self._stopping.wait()
                    async with self._changing:  # a reload that has begun comes to its end
                        await self._stop(outbox, running, writer)
                finally:
                    running.events.close()
                    await running.buses.close_all()

    async def _stop(self, outbox: Outbox, running: Supervisor, writer: asyncio.Task[None]) -> None:
        log.info("stopping: %d readings to be written", outbox.waiting)
        await running.end_hearing()
        writer.cancel()
        await asyncio.wait((writer,))
        await outbox.flush()
        await running.end_uplinks(_UPLINK_STOP_S)

    def _policy(self, config: model.Config) -> Policy:
        stored = config.outbox
        most = volatile.size(volatile.place(config.gateway.id), stored.max_size) if self._volatile else None
        return Policy(stored.window, stored.memory, stored.replay, most or stored.max_size)

    async def reload(self, loaded: Loaded | None = None) -> ReloadResult:
        """Apply a configuration, by default the one now in the files: all of it, or nothing.

        Only devices, buses and uplinks that differ are restarted; the outbox stays open, and no reading is
        lost or sent twice. A reload completes even if its caller is cancelled, and two run one after the
        other. Until ``started`` is set it is refused.
        """
        if self.running is None or not self.started.is_set() or self._stopping.is_set():
            return _CANNOT_NOW
        task = self.running.beside(self._reload(loaded), "reload")
        await asyncio.wait((task,))
        return _CANNOT_NOW if task.cancelled() or task.exception() else task.result()

    async def _reload(self, loaded: Loaded | None) -> ReloadResult:
        async with self._changing:
            if self._stopping.is_set() or self.running is None:
                return _CANNOT_NOW
            try:
                if loaded is None:
                    if self._source is None:
                        return _NO_SOURCE
                    loaded = await asyncio.to_thread(self._source.read)
                if found := tuple(refused(self._config, loaded.config)):
                    return self._not_reloaded(*map(loaded.problem, found))
                layout = await asyncio.to_thread(lay_out, loaded.config)
                difference = await self.running.change(layout, self._policy(loaded.config))
            except SettingsError as error:
                return self._not_reloaded(*error.problems)
            except (DiskError, InUseError, UnknownDriverError, ValueError) as error:
                place = "the outbox" if isinstance(error, DiskError) else "the configuration"
                wrong, _, remedy = str(error).rpartition("; ")
                worded = (wrong, remedy) if wrong else (remedy, "reload once more")
                return self._not_reloaded(Problem(place, 0, "", *worded))
            self._applied(loaded.config)
            if self._source is not None:
                await asyncio.to_thread(self._source.ran)
            reloaded = ReloadResult(tuple(difference.words()), (), loaded.left_out)
            log.info("%s", reloaded)
            for problem in loaded.left_out:
                log.error("%s; the agent runs without this device", problem)
            return reloaded

    async def configure(
        self, change: "Callable[[ConfigEditor], Coroutine[Any, Any, EditResult]]"
    ) -> "EditResult":
        """Edit the configuration files and apply them. It completes even if its caller is cancelled."""
        from edge_agent.reconfiguration.editor import EditResult  # noqa: PLC0415 - as above

        if self.running is None or not self.started.is_set() or self._stopping.is_set():
            return EditResult(problems=_CANNOT_NOW.problems)
        if self.config_editor is None:
            return EditResult(problems=_NO_SOURCE.problems)
        task = self.running.beside(change(self.config_editor), "configure")
        await asyncio.wait((task,))
        return EditResult(problems=_CANNOT_NOW.problems) if task.cancelled() else task.result()

    def now(self) -> int | None:
        """Return the wall-clock time in ms since 1970; None while it is not known."""
        outbox = self._outbox
        if outbox is None or not outbox.clock_known():
            return None
        return outbox.timeline.moment(outbox.timeline.boot, self._clock.mono_ms()).ts

    def _applied(self, config: model.Config) -> None:
        if isinstance(self._clock, SystemClock) and config.clock.trust != self._clock.trust:
            self._clock.trust = config.clock.trust
        if config.log.level != self._config.log.level:
            logging.getLogger().setLevel(config.log.level.upper())
            logging.getLogger("edge_agent").setLevel(logging.NOTSET)  # what a command asked for ends
        self._config, self._not_applied = config, ""

    def _not_reloaded(self, *problems: Problem) -> ReloadResult:
        """Log and remember why the files' configuration was not applied; ``status`` shows it."""
        reloaded = ReloadResult(problems=problems)
        for problem in problems:
            log.error("not reloaded: %s", problem)
        self._not_applied = _not_applied(problems)
        return reloaded

    def status(self) -> Status:
        """Return a snapshot of the whole agent."""
        outbox, config, gateway = self._outbox, self._config, self._config.gateway
        uptime_s = (self._clock.mono_ms() - self._started_ms) / 1000
        running = self.running if self.started.is_set() else None
        return Status(
            site=gateway.site,
            gateway=gateway.id,
            epoch=outbox.epoch if outbox else "",
            uptime_s=uptime_s,
            kept=outbox.kept if outbox else 0,
            waiting=outbox.waiting if outbox else 0,
            lost=outbox.lost if outbox else 0,
            clock="synchronised" if outbox and outbox.clock_known() else "unsynchronised",
            disk_free_mb=_disk_free_mb(outbox.disk.path if outbox else config.outbox.path),
            rss_mb=_rss_mb(),
            problem="; ".join(filter(None, self._problems())),
            devices=tuple(
                running.devices_now() if running else startup_status.devices(config, outbox, uptime_s)
            ),
            uplinks=tuple(running.uplinks_now() if running else startup_status.uplinks(config, outbox)),
            buses=running.buses.status() if running else (),
            name=gateway.name,
            version=__version__,
            outbox=str(outbox.disk.path if outbox else config.outbox.path),
            board=board.look(),
        )

    def _problems(self) -> Iterator[str]:
        if self._outbox is not None:
            yield self._outbox.disk.problem
        if self._volatile:
            yield _READ_ONLY
        yield self._not_applied


def _not_applied(problems: Sequence[Problem]) -> str:
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"the last good configuration goes on; {problems[0]}{more}"


def _disk_free_mb(path: Path) -> int:
    try:
        disk = os.statvfs(path.parent)
    except OSError:  # the card is dying: others tell of it
        return 0
    return disk.f_bavail * disk.f_frsize // 1_000_000


def _rss_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000
