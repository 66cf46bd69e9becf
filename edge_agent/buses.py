"""The media of a configuration: lines, streams, radios. Each is made when its first device needs it."""

import logging
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from edge_agent.bus.line import SerialLine, SerialStream
from edge_agent.bus.mbap import registers_at
from edge_agent.bus.ports import medium
from edge_agent.bus.serial import BusError
from edge_agent.collect import radio_tasks, tasks
from edge_agent.collect.asking import Asking
from edge_agent.collect.device import Device
from edge_agent.driver import Broadcast, Over
from edge_agent.settings import model, resolve
from edge_agent.settings.device import Device as DeviceSettings
from edge_agent.status import BusStatus

if TYPE_CHECKING:
    from edge_agent.bus.ble.radio import Radio  # bleak is loaded where a device needs it

log = logging.getLogger(__name__)

Loop = Coroutine[Any, Any, None]


class Buses:
    """All buses. ``devices`` are the agent's, by id, as they are made."""

    def __init__(self, config: model.Config, devices: Mapping[str, Device]) -> None:
        self._config, self._devices = config, devices
        self.asked: dict[str, Asking] = {}  # by device that is asked over a line
        self._lines: dict[str, SerialLine | SerialStream] = {}
        self._radios: dict[str, Radio] = {}
        self._loops: dict[str, Loop] = {}
        self._lent: dict[str, str] = {}  # by bus: to whom

    def add(self, made: Device, opened: Any) -> None:
        """Give a device its place on its bus. ``opened`` is the driver's device."""
        device = self._config.device[made.id]
        on_the_air = self._config.bus[device.bus].ble
        loop = self._hearing(made, device, opened) if on_the_air else self._asking(made, device, opened)
        self._loops[f"device[{made.id}]"] = loop

    def loops(self) -> Iterator[tuple[str, Loop]]:
        """Return what is to be run, each under its task's name."""
        yield from self._loops.items()
        self._loops = {}
        for id_, radio in self._radios.items():
            yield f"bus[{id_}]", radio.run()

    async def close(self) -> None:
        """Let go of all ports, and of loops that never ran."""
        for loop in self._loops.values():
            loop.close()
        for line in self._lines.values():
            await line.close()

    def _asking(self, made: Device, device: DeviceSettings, opened: Any) -> Loop:
        record, settings = resolve.chosen(device)
        bus = self._config.bus[device.bus]
        sharing = [other for other in self._config.device.values() if other.bus == device.bus]
        if record.over is Over.STREAM:
            assert record.cut is not None, "a talker's driver says how its bytes are cut"
            stream = SerialStream(bus.port, resolve.format_of(bus, sharing), record.cut)
            self._lines[device.bus] = stream
            setup = partial(record.setup, settings) if record.setup else None
            return tasks.listen(made, opened, stream, setup)
        line = self._lines.get(device.bus)
        if line is None:
            line = self._lines[device.bus] = SerialLine(
                bus.port, resolve.format_of(bus, sharing), gap=bus.gap, direction=bus.direction
            )
        assert isinstance(line, SerialLine), "a talker has its bus for itself"
        place = line.place(device.gap)
        asking = self.asked[made.id] = Asking(device.interval)
        if record.over is Over.LINE:
            return tasks.ask(made, opened, place, place, asking)
        return tasks.ask(made, opened, registers_at(bus.port, place), place, asking)

    def _hearing(self, made: Device, device: DeviceSettings, opened: Any) -> Loop:
        record, settings = resolve.chosen(device)
        radio = self._radios.get(device.bus) or self._radio(device.bus)
        address = getattr(settings, "address", "")
        if record.over is Over.ADVERTISEMENTS:
            radio.listen(address, record.broadcast or Broadcast(), radio_tasks.hear(made, opened))
            return radio_tasks.held(made)
        from edge_agent.bus.ble.gatt import connected  # noqa: PLC0415 - bleak is loaded where it is needed

        radio.watch_for(address)
        return radio_tasks.connect(made, opened, partial(connected, radio, address), device.interval)

    def _radio(self, id_: str) -> "Radio":
        from edge_agent.bus.ble.radio import Radio  # noqa: PLC0415 - bleak is loaded where it is needed

        bus = self._config.bus[id_]
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
                and self._config.device[device.id].bus == bus
            )
        return None

    @asynccontextmanager
    async def lent(self, port: str, to: str) -> AsyncIterator[str]:
        """Let another program have a port as long as this lasts; its bus is told, "" where none has it.

        Devices on it are neither asked nor heard meanwhile, and their silence does not count.

        Raises:
            BusError: it is lent already.
        """
        wanted = medium(port)
        of = [id_ for id_ in self._lines if medium(self._config.bus[id_].port) == wanted]
        for id_ in of:
            if id_ in self._lent:
                raise BusError(f"bus {id_} is lent to {self._lent[id_]} already; wait until that has ended")
        async with AsyncExitStack() as stack:
            for id_ in of:
                stack.enter_context(self._told_of(id_, to))
                await stack.enter_async_context(self._lines[id_].lent())
            yield ", ".join(of)

    @contextmanager
    def _told_of(self, id_: str, to: str) -> Iterator[None]:
        self._lent[id_] = to
        log.info("bus %s is lent to %s", id_, to)
        devices = [device for device in self._devices.values() if self._config.device[device.id].bus == id_]
        for device in devices:
            device.be_away(f"bus {id_} is lent to {to}")
        try:
            yield
        finally:
            del self._lent[id_]
            for device in devices:
                device.be_away("")
            log.info("bus %s is the agent's again", id_)

    def status(self) -> tuple[BusStatus, ...]:
        """Return how each bus does."""
        lines = (self._line_status(id_, line) for id_, line in self._lines.items())
        return (*lines, *(self._radio_status(id_, radio) for id_, radio in self._radios.items()))

    def _line_status(self, id_: str, line: SerialLine | SerialStream) -> BusStatus:
        return BusStatus(
            id=id_,
            port=self._config.bus[id_].port,
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
