"""Runs one task per device, radio and uplink; starts and stops them when the configuration changes."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from edge_agent import __version__
from edge_agent.agent import commands
from edge_agent.agent.buses import Buses
from edge_agent.agent.event_limiter import EventLimiter
from edge_agent.agent.layout import Layout, Part, lay_out, nothing
from edge_agent.clock import Clock
from edge_agent.collect import tasks
from edge_agent.collect.device import Device
from edge_agent.driver import Over
from edge_agent.event import Event
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Policy
from edge_agent.outbox.store import DiskError
from edge_agent.processing.plan import plan_for
from edge_agent.profile import profile_note
from edge_agent.reconfiguration.difference import Difference, between
from edge_agent.registry import UnknownDriverError
from edge_agent.row import Moment
from edge_agent.settings.device_channels import kept_channels
from edge_agent.settings.model import Config
from edge_agent.status import Availability, DeviceStatus, Status, UplinkStatus
from edge_agent.uplink.downlink import Downlink
from edge_agent.uplink.interfaces import Acknowledged, Gateway
from edge_agent.uplink.selection import narrowed, passing
from edge_agent.uplink.uplink import Uplink

log = logging.getLogger(__name__)

T = TypeVar("T")

_UPLINK_END_S = 1.0  # for the last PUBACKs of an uplink that goes or changes
_END_WITHIN_S = 20.0  # a task that takes longer to end is broken: better to begin anew as a process


class InUseError(Exception):
    """A bus that a reload would close is lent to another program."""


class Supervisor:
    """All tasks of the agent, in one task group. ``layout`` is what they were built from, at first empty.

    ``on_acknowledged`` is called for each message of readings that a broker has acknowledged.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that its parts are built from
        self,
        group: asyncio.TaskGroup,
        outbox: Outbox,
        clock: Clock,
        config: Config,
        status: Callable[[], Status],
        on_acknowledged: Callable[[Acknowledged], None] | None,
    ) -> None:
        self.devices: dict[str, Device] = {}
        self.uplinks: dict[str, Uplink] = {}
        self.buses = Buses(nothing(config), self.devices)
        self._group, self._outbox, self._clock = group, outbox, clock
        self.events = EventLimiter(clock, outbox.events.tell, outbox.events.latest)
        self._status, self._on_acknowledged = status, on_acknowledged
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by name

    @property
    def own_commands(self) -> commands.AgentCommands:
        """The commands of the downlink that concern the agent itself."""
        return commands.AgentCommands(
            lambda: self.layout.config, self._status, self.devices, self.buses.asked
        )

    @property
    def layout(self) -> Layout:
        """What the running tasks were built from."""
        return self.buses.layout

    async def change(self, new: Layout, policy: Policy) -> Difference:
        """Start what is new, stop what was removed, restart what changed; all else is not interrupted.

        Raises:
            DiskError: the outbox cannot be written. InUseError: a bus is lent. All runs as before.
        """
        old, difference = self.layout, between(self.layout, new)
        if self._tasks and not difference.words():
            return difference
        if lent := self.buses.lent_to(difference.closed):
            raise InUseError(f"cannot be applied while {lent}; reload once that has ended")
        ended = (*difference.devices.ended, *difference.restarted)
        await self._end_uplinks(difference.uplinks.ended, _UPLINK_END_S)
        await self._end([*map(_device_task, ended), *map(_radio_task, difference.closed)])
        for id_ in ended:
            self.buses.remove(old.parts[id_])
        await self.buses.close(difference.closed)
        kept_as = [part.kept_as for part in new.parts.values()]
        try:
            known = await self._outbox.change(policy, new.selections, kept_as)
        except DiskError:
            self._build(old, ended, difference.uplinks.ended, {})
            raise
        for id_ in difference.devices.removed:
            self.events.forget(id_)
        begun = (*difference.devices.begun, *difference.restarted)
        self._build(new, begun, difference.uplinks.begun, known)
        return difference

    def would_restart(self, config: Config) -> tuple[str, ...]:
        """Return the devices that a configuration would restart. Thread-safe."""
        try:
            difference = between(self.layout, lay_out(config))
        except (UnknownDriverError, ValueError):  # a file changed this moment: applying it says so
            return ()
        return (*difference.devices.changed, *difference.restarted)

    def _build(
        self,
        layout: Layout,
        devices: Iterable[str],
        uplinks: Iterable[str],
        known: Mapping[int, tuple[str, str]],
    ) -> None:
        """Build and start these devices and uplinks, without awaiting: no task sees it half done."""
        self.buses.layout = layout
        made = {id_: self._device(layout.parts[id_]) for id_ in devices}
        present = {id_: made.get(id_) or self.devices[id_] for id_ in layout.parts}
        self.devices.clear()
        self.devices.update(present)
        for name, uplink in self.uplinks.items():
            uplink.describe(self._metas(name), known)
        begun = {name: self._uplink(name) for name in uplinks}
        self.uplinks = {name: begun.get(name) or self.uplinks[name] for name in layout.config.uplink}
        for id_, device in made.items():
            self._begin(_device_task(id_), self.buses.add(device))
        for id_, radio in self.buses.radios.items():
            if _radio_task(id_) not in self._tasks:
                self._begin(_radio_task(id_), radio.run())
        for name, uplink in begun.items():
            self._begin(_uplink_task(name), uplink.run())
        if (watching := self._tasks.pop("availability", None)) is not None:
            watching.cancel()
        self._begin("availability", tasks.watch(self.devices.values()))

    def beside(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run a coroutine in the same task group: an exception in it ends the agent."""
        return self._group.create_task(work, name=name)

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = self._group.create_task(work, name=name)

    async def _end(self, names: Iterable[str]) -> None:
        ending = [task for name in names if (task := self._tasks.pop(name, None)) is not None]
        for task in ending:
            task.cancel()
        if ending:
            _, stuck = await asyncio.wait(ending, timeout=_END_WITHIN_S)
            if stuck:
                raise RuntimeError(f"{', '.join(task.get_name() for task in stuck)}: does not end")

    async def _end_uplinks(self, names: Iterable[str], within: float) -> None:
        ending = {name: self.uplinks.pop(name) for name in names}
        await asyncio.gather(*(uplink.stop(within) for uplink in ending.values()))
        await self._end(map(_uplink_task, ending))

    async def end_hearing(self) -> None:
        """Stop all tasks but the uplinks: no new readings from here on."""
        await self._end([name for name in self._tasks if not name.startswith("uplink[")])

    async def end_uplinks(self, within: float) -> None:
        """Stop the uplinks; each has ``within`` seconds to send its live readings."""
        await asyncio.gather(*(uplink.stop(within) for uplink in self.uplinks.values()))
        await self._end(list(self._tasks))

    def _device(self, part: Part) -> Device:
        settings = part.settings
        if note := profile_note(settings.driver, settings.settings.get("profile")):
            log.info("%s: its profile is %s", part.id, note)
        plan = plan_for(settings, part.channels, part.driver.over in {Over.STREAM, Over.ADVERTISEMENTS})
        keep = partial(self._outbox.keep, immediate=settings.keep == "immediate")
        made = Device(part.id, kept_channels(settings, part.channels), plan, self._clock, keep)
        made.expect_s = settings.expect or settings.interval
        made.on_availability = self._availability_changed
        made.outputs.keep_now = partial(self._outbox.keep, immediate=True)
        made.outputs.remember = partial(self._outbox.device_memory.remember, part.id)
        made.outputs.tell, made.outputs.stands = self.events.tell, self.events.stands
        made.recall(self._outbox.device_memory.of(part.id))
        return made

    def _metas(self, uplink: str) -> dict[str, str]:
        """Return the description (JSON) of each device on an uplink, by device id."""
        passes = passing(self.layout.config.uplink[uplink].send)
        selection = self.layout.selections[uplink]
        return {
            id_: narrowed(part.kept_as.hash, part.kept_as.description, passes)[1]
            for id_, part in self.layout.parts.items()
            if id_ in selection
        }

    def _uplink(self, name: str) -> Uplink:
        outbox, config = self._outbox, self.layout.config
        settings = config.uplink[name]
        gateway = Gateway(
            site=config.gateway.site,
            id=config.gateway.id,
            epoch=outbox.epoch,
            version=__version__,
            metas=self._metas(name),
            now=self.now,
            moment=outbox.timeline.moment,
            offset=outbox.timeline.offset,
            clock_known=outbox.clock_known,
            clock_wait=config.clock.wait,
            availability=self._availability,
            snapshot=self._status,
            retire=partial(self._retire, name),
        )
        uplink = Uplink(name, settings, gateway, outbox.deliveries[name], self._on_acknowledged)
        if settings.commands:
            carry_out = {**self.own_commands.by_name(), **uplink.commands()}
            uplink.take_commands(Downlink(settings, gateway, outbox.commands.over(name), carry_out))
        return uplink

    def _retire(self, uplink: str, device: str) -> None:
        event = Event("retired", device, self._clock.mono_ms())
        self._outbox.events.tell(event, uplink, stays=device in self.layout.parts)

    def devices_now(self) -> Iterator[DeviceStatus]:
        """Yield the state of each device."""
        now_ms = self._clock.mono_ms()
        for device in self.devices.values():
            settings = self.layout.parts[device.id].settings
            yield DeviceStatus(
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
                reason=device.reason,
                bus=settings.bus,
                place=settings.place,
                since_s=(now_ms - device.since_ms) / 1000,
            )

    def uplinks_now(self) -> Iterator[UplinkStatus]:
        """Yield the state of each uplink."""
        return (uplink.status() for uplink in self.uplinks.values())

    def now(self) -> Moment:
        """Return the wall-clock time, as far as it is known."""
        timeline = self._outbox.timeline
        return timeline.moment(timeline.boot, self._clock.mono_ms())

    def clock_set(self) -> None:
        """Pass on that the system clock was set: readings of unknown time may get theirs."""
        self._outbox.learn_time()
        for uplink in self.uplinks.values():
            uplink.clock_set()

    def _availability_changed(self, device: str) -> None:
        made = self.devices[device]
        self.events.tell(Event(made.availability, device, made.since_ms, made.reason))
        for uplink in self.uplinks.values():
            uplink.publish_state(device)

    def _availability(self, id_: str) -> tuple[Availability, int, str]:
        device, timeline = self.devices[id_], self._outbox.timeline
        return device.availability, timeline.moment(timeline.boot, device.since_ms).ts, device.reason


def _device_task(id_: str) -> str:
    return f"device[{id_}]"


def _radio_task(bus: str) -> str:
    return f"bus[{bus}]"


def _uplink_task(name: str) -> str:
    return f"uplink[{name}]"
