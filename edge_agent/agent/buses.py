"""The buses of a configuration: lines, streams and radios, each made when its first device needs it."""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from edge_agent.agent.layout import Layout, Part
from edge_agent.bus.line import SerialLine
from edge_agent.bus.mbap import registers_at
from edge_agent.bus.ports import medium
from edge_agent.bus.serial import BusError
from edge_agent.bus.talker import SerialStream
from edge_agent.collect import radio_tasks, tasks
from edge_agent.collect.device import Device
from edge_agent.collect.polling import Polling
from edge_agent.driver import Broadcast, Over
from edge_agent.status import BusStatus

if TYPE_CHECKING:
    from edge_agent.bus.ble.radio import Radio  # bleak is loaded where a device needs it

log = logging.getLogger(__name__)

Loop = Coroutine[Any, Any, None]


def _away(bus: str, to: str) -> str:
    return f"bus {bus} is lent to {to}"


class Buses:
    """All buses. ``devices`` are the agent's, by id."""

    def __init__(self, layout: Layout, devices: Mapping[str, Device]) -> None:
        self.layout, self._devices = layout, devices
        self.asked: dict[str, Polling] = {}  # by device that is asked over a line
        self._lent: dict[str, str] = {}  # by bus: to whom
        self._lines: dict[str, SerialLine | SerialStream] = {}
        self._radios: dict[str, Radio] = {}
        self._unheard: dict[str, Callable[[], None]] = {}  # by device on the air: what ends its hearing

    def add(self, made: Device) -> Loop:
        """Attach a device to its bus; return the coroutine that polls or hears it."""
        part = self.layout.parts[made.id]
        if part.settings.bus in self._lent:
            made.be_away(_away(part.settings.bus, self._lent[part.settings.bus]))
        on_the_air = self.layout.config.bus[part.settings.bus].ble
        return self._hearing(made, part) if on_the_air else self._asking(made, part)

    def remove(self, part: Part) -> None:
        """Detach a device whose task has ended."""
        self.asked.pop(part.id, None)
        if (end := self._unheard.pop(part.id, None)) is not None:
            end()

    async def close(self, buses: Iterable[str]) -> None:
        """Close the ports of some buses, and drop their radios, whose tasks must have ended."""
        for id_ in buses:
            self._radios.pop(id_, None)
            if (line := self._lines.pop(id_, None)) is not None:
                await line.close()

    async def close_all(self) -> None:
        """Close all ports, and drop all radios."""
        await self.close([*self._lines, *self._radios])

    @property
    def radios(self) -> Mapping[str, "Radio"]:
        """The radios by bus; each is run as a task of its own."""
        return self._radios

    def _asking(self, made: Device, part: Part) -> Loop:
        device, record = part.settings, part.driver
        bus = self.layout.config.bus[device.bus]
        format_ = self.layout.formats[device.bus]
        if record.over is Over.STREAM:
            assert record.cut is not None, "a talker's driver says how its bytes are cut"
            stream = self._lines[device.bus] = SerialStream(
                bus.port, format_, record.cut, recent_frames=made.recent_frames
            )
            setup = partial(record.setup, part.chosen) if record.setup else None
            return tasks.listen(made, part.opened, stream, setup)
        line = self._lines.get(device.bus)
        if line is None:
            line = self._lines[device.bus] = SerialLine(
                bus.port, format_, gap=bus.gap, direction=bus.direction
            )
        assert isinstance(line, SerialLine), "a talker has its bus for itself"
        place = line.place(device.gap, made.recent_frames)
        polling = self.asked[made.id] = Polling(device.interval)
        if record.over is Over.LINE:
            return tasks.ask(made, part.opened, place, place, polling)
        return tasks.ask(made, part.opened, registers_at(bus.port, place), place, polling)

    def _hearing(self, made: Device, part: Part) -> Loop:
        device, record = part.settings, part.driver
        radio = self._radios.get(device.bus) or self._radio(device.bus)
        address = getattr(part.chosen, "address", "")
        if record.over is Over.ADVERTISEMENTS:
            cares = record.broadcast or Broadcast()
            self._unheard[made.id] = radio.listen(address, cares, radio_tasks.hear(made, part.opened))
            return radio_tasks.held(made)
        from edge_agent.bus.ble.gatt import connected  # noqa: PLC0415 - bleak is loaded where it is needed

        self._unheard[made.id] = radio.watch_for(address)
        return radio_tasks.connect(made, part.opened, partial(connected, radio, address), device.interval)

    def _radio(self, id_: str) -> "Radio":
        from edge_agent.bus.ble.radio import Radio  # noqa: PLC0415 - bleak is loaded where it is needed

        bus = self.layout.config.bus[id_]
        radio = Radio(bus.ble, active=bus.scan == "active", expect=partial(self._expected, id_))
        self._radios[id_] = radio
        return radio

    def _expected(self, bus: str) -> float | None:
        """Return how often the quickest device of a radio that was heard lately should be heard, in seconds.

        One that is late counts: where the scan is deaf, all are late before the radio gives up its patience.
        """
        with suppress(ValueError):
            return min(
                device.expect_s
                for device in self._devices.values()
                if device.availability != "offline"
                and device.heard_s is not None
                and self.layout.parts[device.id].settings.bus == bus
            )
        return None

    @asynccontextmanager
    async def lent(self, port: str, to: str) -> AsyncIterator[str]:
        """Lend a port to another program within the context; yields its bus, "" if no bus has it.

        Devices on it are neither polled nor heard meanwhile, and do not become late or offline.

        Raises:
            BusError: it is lent already.
        """
        wanted = medium(port)
        buses = [id_ for id_ in self._lines if medium(self.layout.config.bus[id_].port) == wanted]
        for id_ in buses:
            if id_ in self._lent:
                raise BusError(f"bus {id_} is lent to {self._lent[id_]} already; wait until that has ended")
        async with AsyncExitStack() as stack:
            for id_ in buses:
                stack.enter_context(self._told_of(id_, to))
                await stack.enter_async_context(self._lines[id_].lent())
            yield ", ".join(buses)

    @contextmanager
    def _told_of(self, id_: str, to: str) -> Iterator[None]:
        self._lent[id_] = to
        log.info("bus %s is lent to %s", id_, to)
        for device in self._on(id_):
            device.be_away(_away(id_, to))
        try:
            yield
        finally:
            del self._lent[id_]
            for device in self._on(id_):  # a reload may have made others meanwhile
                device.be_away("")
            log.info("bus %s is the agent's again", id_)

    def _on(self, bus: str) -> list[Device]:
        return [self._devices[id_] for id_ in self.layout.on(bus)]

    def lent_to(self, buses: Iterable[str]) -> str:
        """Return which of these buses is lent and to whom, as text; "" if none is."""
        return next((_away(id_, self._lent[id_]) for id_ in sorted(buses) if id_ in self._lent), "")

    def status(self) -> tuple[BusStatus, ...]:
        """Return the state of each bus."""
        lines = (self._line_status(id_, line) for id_, line in self._lines.items())
        return (*lines, *(self._radio_status(id_, radio) for id_, radio in self._radios.items()))

    def _line_status(self, id_: str, line: SerialLine | SerialStream) -> BusStatus:
        return BusStatus(
            id=id_,
            port=self.layout.config.bus[id_].port,
            problem=line.problem,
            reopened=line.reopened,
            exchanges=line.exchanges,
            failures=dict(line.failures) if isinstance(line, SerialLine) else {},
            skipped=line.skipped,
            busy=line.busy if isinstance(line, SerialLine) else None,
        )

    def _radio_status(self, id_: str, radio: "Radio") -> BusStatus:
        return BusStatus(
            id=id_,
            port=radio.adapter,
            problem=radio.problem,
            reopened=radio.restarts,
            exchanges=radio.heard,
            failures={"power_cycles": radio.power_cycles} if radio.power_cycles else {},
            skipped=0,
            busy=None,
        )
