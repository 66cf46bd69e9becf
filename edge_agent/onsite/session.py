"""One device of a configuration with its bus open, outside of the agent: read once, or again and again."""

import asyncio
from dataclasses import replace
from typing import Any

from edge_agent.bus.line import SerialLine
from edge_agent.bus.mbap import registers_at
from edge_agent.bus.talker import SerialStream
from edge_agent.bus.tap import Tap
from edge_agent.clock import SystemClock
from edge_agent.collect.device import Device
from edge_agent.driver import Fault, NoAnswer, Over
from edge_agent.processing.plan import plan_for
from edge_agent.reading import Reading
from edge_agent.settings import resolve
from edge_agent.settings.model import Config


class Session:
    """Reads one device as the agent does: the same bus, driver and processing; nothing is kept or sent.

    A device that speaks unasked is only listened to, and not told how to report.

    ``device`` knows its units, faults and the age of what was read; ``model`` is what it is called,
    ``port`` and ``serial`` its bus, ``chosen`` its settings as the driver has them.

    Raises:
        LookupError: the configuration has no such device that can be read; the message says what it has.
    """

    def __init__(self, config: Config, id_: str, tap: Tap | None = None) -> None:
        settings = config.device.get(id_)
        if settings is None:
            there = ", ".join(config.device) or "none"
            raise LookupError(f"there is no device {id_!r} in this configuration; there are: {there}")
        self.driver, self.chosen = resolve.chosen(settings)
        if self.driver.over not in {Over.STREAM, Over.LINE, Over.REGISTERS}:
            raise LookupError(f"{id_} speaks over {self.driver.over}; only devices on a line are read here")
        self._opened: Any = self.driver.open(self.chosen)  # whose shape ``over`` tells
        self.channels = tuple(self._opened.channels)
        self.model = self.driver.model(self.chosen) or self.driver.title
        self.settings = settings
        self._readings: list[Reading] = []
        plan = plan_for(settings, self.channels, self.driver.over is Over.STREAM)
        plan = replace(plan, memorable=None)  # one reading, at once, and no alarm
        self.device = Device(id_, self.channels, plan, SystemClock("always"), self._readings.append)
        bus = config.bus[settings.bus]
        self.port = bus.port
        sharing = [other for other in config.device.values() if other.bus == settings.bus]
        self.serial = resolve.format_of(bus, sharing)
        self._line: SerialLine | None = None
        self._stream: SerialStream | None = None
        if self.driver.over is Over.STREAM:
            assert self.driver.cut is not None
            self._stream = SerialStream(bus.port, self.serial, self.driver.cut, tap=tap)
        else:
            self._line = SerialLine(bus.port, self.serial, gap=bus.gap, direction=bus.direction, tap=tap)
            place = self._line.place(settings.gap)
            over_registers = self.driver.over is Over.REGISTERS
            self._asked: Any = registers_at(bus.port, place) if over_registers else place

    @property
    def asks(self) -> bool:
        """Whether the device speaks only when asked."""
        return self._line is not None

    async def reading(self, within: float) -> Reading:
        """Ask once, or wait for the next good frame, ``within`` seconds at most.

        Raises:
            Fault: what came was no reading, or nothing came in time.
            BusError: the port cannot be used.
        """
        self._readings.clear()
        try:
            async with asyncio.timeout(within):
                await (self._hear() if self._stream else self._ask())
        except TimeoutError:
            raise NoAnswer(self.device.problem or f"nothing was heard within {within:g} s") from None
        return self._readings[-1]

    async def close(self) -> None:
        """Give the port back."""
        for bus in (self._line, self._stream):
            if bus is not None:
                await bus.close()

    async def _ask(self) -> None:
        self.device.heard(await self._opened.poll(self._asked))

    async def _hear(self) -> None:
        assert self._stream is not None
        async for frame in self._stream.frames():
            try:
                self.device.heard(self._opened.decode(frame))
            except Fault as fault:
                self.device.fault(fault)
            if self._readings:
                return
