"""The composition root: builds the rooms from a configuration, starts them, and stops them in order."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from edge_agent import __version__, commands
from edge_agent.buses import Buses
from edge_agent.clock import Clock, SystemClock, told_of_steps
from edge_agent.collect import tasks
from edge_agent.collect.device import Device
from edge_agent.describe import describe
from edge_agent.driver import Over
from edge_agent.outbox import volatile
from edge_agent.outbox.apart import Selection
from edge_agent.outbox.handover import Carried
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.rows import Identity, Policy
from edge_agent.outbox.stages import Care
from edge_agent.processing.plan import plan_for
from edge_agent.profile import profile_note
from edge_agent.settings import model, resolve
from edge_agent.settings.uplink import Send
from edge_agent.settings.uplink import Uplink as UplinkSettings
from edge_agent.status import Availability, DeviceStatus, Status
from edge_agent.uplink.downlink import Downlink
from edge_agent.uplink.protocol import Acknowledged, Gateway
from edge_agent.uplink.selection import narrowed, passing, selects
from edge_agent.uplink.uplink import Uplink

log = logging.getLogger(__name__)

_READ_ONLY = (
    "the card is read-only; readings are kept in memory, and a power cut loses them; replace the card"
)
_UPLINK_STOP_S = 2.5  # for the last PUBACKs, within the 5 s of a clean stop


class Agent:
    """One gateway's agent. ``run`` runs until ``stop``; ``status`` may be asked at any time.

    ``on_ready`` is called once the outbox is open and every device's task has started; ``on_acknowledged``
    for each message of readings that a broker has taken.
    """

    def __init__(
        self,
        config: model.Config,
        *,
        clock: Clock | None = None,
        on_ready: Callable[[], None] = lambda: None,
        on_acknowledged: Callable[[Acknowledged], None] | None = None,
    ) -> None:
        self._config = config
        self._clock = clock or SystemClock(config.clock.trust)
        self._on_ready, self._on_acknowledged = on_ready, on_acknowledged
        self._stopping = asyncio.Event()
        self._started_ms = self._clock.mono_ms()
        self._outbox: Outbox | None = None
        self._devices: dict[str, Device] = {}
        self._buses = Buses(config, self._devices)
        self._uplinks: list[Uplink] = []
        self._carried = Carried()
        self._volatile = False

    @property
    def _waiting(self) -> Carried:
        """What waits in memory for a successor: left by the outbox, or never taken over by one."""
        return self._outbox.left if self._outbox is not None and self._outbox.left.total else self._carried

    @property
    def left(self) -> int:
        """How many readings wait for a successor: the outbox fell, and they are nowhere else."""
        fell = self._outbox is None or self._outbox.fell
        return self._waiting.total if fell else 0

    def successor(self) -> "Agent":
        """Return the agent that goes on when this one fell with its outbox, with what waits in memory."""
        agent = Agent(
            self._config, clock=self._clock, on_ready=self._on_ready, on_acknowledged=self._on_acknowledged
        )
        agent._carried = self._waiting
        return agent

    def stop(self) -> None:
        """End ``run``, in order and within 5 s."""
        self._stopping.set()

    def lent(self, port: str, to: str) -> AbstractAsyncContextManager[str]:
        """Give a port to another program as long as this lasts; its bus is told, "" where none has it.

        Raises:
            BusError: somebody else has it already.
        """
        return self._buses.lent(port, to)

    async def answers(self, within: float) -> bool:
        """Say whether the outbox's writer answers within so many seconds; one that is not open need not."""
        try:
            async with asyncio.timeout(within):
                if self._outbox is not None:
                    await self._outbox.answer()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Run until ``stop``.

        Raises:
            OutboxError: the outbox cannot be used.
            DamagedError, ReadOnlyError: alone or in a group; a successor can go on.
        """
        config = self._config
        stored = config.outbox
        path, max_size = stored.path, stored.max_size
        self._volatile = volatile.is_read_only(path)
        if self._volatile:
            path = volatile.place(config.gateway.id)
            max_size = volatile.size(path, max_size)
            log.error("outbox: %s; %s waits until it can be written", _READ_ONLY, stored.path)
        outbox = self._outbox = await Outbox.open(
            path,
            Identity(config.gateway.site, config.gateway.id),
            Policy(stored.window, stored.memory, stored.replay, max_size),
            self._clock,
            list(config.uplink),
            {name: self._selection(uplink) for name, uplink in config.uplink.items()},
            None if self._volatile else volatile.left(config.gateway.id),
        )
        try:
            await self._build(outbox)
            outbox.adopt(self._carried)
            self._carried = Carried()
            with told_of_steps(self._clock_set):
                await self._run(outbox)
        finally:
            await self._buses.close()
            await outbox.close()
            if self._volatile and (owed := max((up.backlog for up in outbox.deliveries.values()), default=0)):
                log.error("outbox: %d readings in memory were not sent; a power cut loses them", owed)

    async def _run(self, outbox: Outbox) -> None:
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(outbox.run(), name="outbox.writer")
            uplinks = [group.create_task(up.run(), name=f"uplink[{up.name}]") for up in self._uplinks]
            hearing = [group.create_task(loop, name=name) for name, loop in self._buses.loops()]
            watching = group.create_task(tasks.watch(self._devices.values()), name="availability")
            self._on_ready()
            await self._stopping.wait()
            log.info("stopping: %d readings to be written", outbox.waiting)
            for task in (*hearing, watching, writer):
                task.cancel()
            await asyncio.wait((*hearing, watching, writer))
            await outbox.flush()
            await asyncio.gather(*(uplink.stop(_UPLINK_STOP_S) for uplink in self._uplinks))
            for task in uplinks:
                task.cancel()

    async def _build(self, outbox: Outbox) -> None:
        config = self._config
        described: dict[str, tuple[str, str]] = {}
        for id_, device in config.device.items():
            record, settings = resolve.chosen(device)
            opened = record.open(settings)
            channels = resolve.channels(record, opened)
            model = record.model(settings) or record.title
            if note := profile_note(device.driver, device.settings.get("profile")):
                log.info("%s: its profile is %s", id_, note)
                model += " (profile of this site)"
            description = describe(config, id_, device, model, channels)
            described[id_] = description.hash, (body := description.payload().decode())
            care = Care(device.class_, device.when_full)
            await outbox.enroll(id_, description.hash, body, list(description.channels), care)
            plan = plan_for(device, channels, record.over in {Over.STREAM, Over.ADVERTISEMENTS})
            keep = partial(outbox.keep, immediate=device.keep == "immediate")
            made = Device(id_, channels, plan, self._clock, keep)
            made.expect_s = device.expect or device.interval
            made.on_availability = self._tell_state
            self._devices[id_] = made
            self._buses.add(made, opened)
        self._uplinks = [
            self._uplink(outbox, name, settings, described) for name, settings in config.uplink.items()
        ]

    def _uplink(
        self, outbox: Outbox, name: str, settings: UplinkSettings, described: Mapping[str, tuple[str, str]]
    ) -> Uplink:
        config = self._config
        selection, passes = self._selection(settings), passing(settings.send)
        gateway = Gateway(
            site=config.gateway.site,
            id=config.gateway.id,
            epoch=outbox.epoch,
            version=__version__,
            metas={id_: narrowed(*told, passes)[1] for id_, told in described.items() if id_ in selection},
            now=lambda: outbox.timeline.moment(outbox.timeline.boot, self._clock.mono_ms()),
            moment=outbox.timeline.moment,
            offset=outbox.timeline.offset,
            clock_known=outbox.clock_known,
            clock_wait=config.clock.wait,
            availability=self._availability,
            snapshot=self.status,
        )
        uplink = Uplink(name, settings, gateway, outbox.deliveries[name], self._on_acknowledged)
        if settings.commands:
            carry_out = {
                **commands.Own(config, self.status, self._devices, self._buses.asked).by_name(),
                **uplink.commands(),
            }
            uplink.take_commands(Downlink(settings, gateway, outbox.commands, carry_out))
        return uplink

    def _selection(self, uplink: UplinkSettings) -> Selection:
        if uplink.send == Send():  # then also what is left of devices that are gone from the file
            return Selection(None, uplink.begin)
        on = set()
        for id_, device in self._config.device.items():
            channels = resolve.channels(*resolve.opened(device))
            if selects(uplink.send, id_, device.labels, [channel.name for channel in channels]):
                on.add(id_)
        return Selection(on, uplink.begin)

    def _clock_set(self) -> None:
        if self._outbox is not None:
            self._outbox.learn_time()
        for uplink in self._uplinks:
            uplink.clock_set()

    def _tell_state(self, device: str) -> None:
        for uplink in self._uplinks:
            uplink.publish_state(device)

    def _availability(self, id_: str) -> tuple[Availability, int]:
        device = self._devices[id_]
        assert self._outbox is not None
        timeline = self._outbox.timeline
        return device.availability, timeline.moment(timeline.boot, device.since_ms).ts

    def status(self) -> Status:
        """Return how everything does now."""
        outbox = self._outbox
        gateway = self._config.gateway
        return Status(
            site=gateway.site,
            gateway=gateway.id,
            epoch=outbox.epoch if outbox else "",
            uptime_s=(self._clock.mono_ms() - self._started_ms) / 1000,
            kept=outbox.kept if outbox else 0,
            waiting=outbox.waiting if outbox else 0,
            lost=outbox.lost if outbox else 0,
            clock="synchronised" if outbox and outbox.clock_known() else "unsynchronised",
            disk_free_mb=_disk_free_mb(outbox.disk.path if outbox else self._config.outbox.path),
            rss_mb=_rss_mb(),
            problem=(outbox.problem if outbox else "") or (_READ_ONLY if self._volatile else ""),
            devices=tuple(self._device_status(device) for device in self._devices.values()),
            uplinks=tuple(uplink.status() for uplink in self._uplinks),
            buses=self._buses.status(),
            name=gateway.name,
            version=__version__,
            outbox=str(outbox.disk.path if outbox else self._config.outbox.path),
        )

    def _device_status(self, device: Device) -> DeviceStatus:
        assert self._outbox is not None
        settings = self._config.device[device.id]
        return DeviceStatus(
            id=device.id,
            name=settings.name or device.id,
            driver=settings.driver,
            availability=device.availability,
            heard_s=device.heard_s,
            seq=self._outbox.last_seq(device.id),
            values=dict(device.values),
            quality=dict(device.quality),
            units=device.units,
            faults=dict(device.faults),
            problem=device.away or device.problem or device.not_set_up,
            bus=settings.bus,
            place=settings.place,
            since_s=(self._clock.mono_ms() - device.since_ms) / 1000,
        )


def _disk_free_mb(path: Path) -> int:
    try:
        disk = os.statvfs(path.parent)
    except OSError:  # the card is dying: others tell of it
        return 0
    return disk.f_bavail * disk.f_frsize // 1_000_000


def _rss_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000
