"""Find what is connected to a serial port: listen first, then ask, one serial format after the other.

Only requests to read are sent. What was found so far can be looked at any time, also when the scan is
cancelled.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from edge_agent.bus.address import Address
from edge_agent.bus.framing import Framer
from edge_agent.bus.line import SerialLine
from edge_agent.bus.mbap import registers_at
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.bus.stream import open_stream
from edge_agent.driver import Driver, Fault, Garbled, Line, NoAnswer, Read, Refused, Registers, Settings
from edge_agent.onsite.judge import Fit, judge, ranked
from edge_agent.onsite.plan import DEVICE_LIMIT, GAP, Asking, Listening, Plan, Trial, candidates

_MOST_GARBLED = 4  # addresses in a row at which only broken bytes come, until a format is given up
_LONGEST_ANSWER = 0.5  # seconds; what is known to be there is given time


@dataclass(frozen=True, slots=True)
class Found:
    """Something that spoke or answered. ``who`` is its address, "" for what speaks unasked."""

    serial: str
    who: str
    fits: tuple[Fit, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What is tried now, and how many of the planned seconds are over."""

    doing: str
    done: float
    total: float


class Scan:
    """One scan of one port. ``found`` and ``notes`` fill while it runs; ``complete`` says that it ended."""

    def __init__(self, port: str, plan: Plan, *, fast: bool, tell: Callable[[Step], None]) -> None:
        self.found: list[Found] = []
        self.notes: list[str] = []
        self.complete = False
        self._port, self._plan, self._fast, self._tell = port, plan, fast, tell
        self._done = 0.0
        self._refused: list[BusError] = []
        self._usable = False

    async def run(self) -> None:
        """Scan.

        Raises:
            BusError: the port cannot be used at all, or went away.
        """
        if not await self._listen():
            for asking in self._plan.asking:
                before = self._done
                await self._ask(asking)
                self._done = before + self._plan.asking_seconds(asking)
                if self._fast and self.found:
                    self.notes.append("stopped at the first serial format with a device (--fast)")
                    break
        if self._refused and not self._usable:
            raise self._refused[0]
        self.complete = True

    def _step(self, doing: str, seconds: float = 0.0) -> None:
        self._tell(Step(doing, self._done, self._plan.seconds))
        self._done += seconds

    def _unusable(self, serial: SerialFormat, error: BusError) -> None:
        self._refused.append(error)
        if not self._usable and len(self._refused) > 1 and str(error) == str(self._refused[0]):
            raise error  # it is not the format
        self.notes.append(f"{serial}: {error}")

    async def _listen(self) -> bool:
        """Listen for devices that speak unasked, and say whether there is one.

        In a format that is not its own a device is heard, too, as other bytes: where nothing at all is
        heard in one format, there is nothing to be heard in the others.
        """
        heard = 0
        for index, listening in enumerate(self._plan.listening):
            seconds = self._plan.listening_seconds(index)
            self._step(f"{listening.serial}: listening", seconds)
            try:
                size = await self._hear(listening, seconds)
            except BusError as error:
                self._unusable(listening.serial, error)
                continue
            if self.found:
                self.notes.append("a device that speaks unasked has the port for itself: nobody was asked")
                return True
            if not size:
                break
            heard += size
        if heard:
            self.notes.append(
                f"{heard} bytes were heard that no driver knows: another master, or another kind of device; "
                f"look with `edge-agent listen {self._port}`"
            )
        return False

    async def _hear(self, listening: Listening, seconds: float) -> int:
        loop = asyncio.get_running_loop()
        stream = await open_stream(Address.parse(self._port), listening.serial)
        self._usable = True
        try:
            framers = [(Framer(trial.driver.cut), trial) for trial in listening.trials if trial.driver.cut]
            until, count = loop.time() + seconds, 0
            while piece := await stream.read(until):
                count += len(piece)
                fits = [
                    fit
                    for framer, trial in framers
                    for frame in framer.feed(piece)
                    if (fit := _decoded(trial, frame))
                ]
                if fits:
                    latest = {(fit.driver, repr(fit.settings)): fit for fit in fits}
                    self.found.append(Found(str(listening.serial), "", ranked(latest.values())))
                    break
                if loop.time() >= until:
                    break
            return count
        finally:
            stream.close()

    async def _ask(self, asking: Asking) -> None:
        line = SerialLine(self._port, asking.serial, gap=GAP, lateness=0.0)
        try:
            for name, driver in asking.searches:
                await self._search(asking, name, driver, line.place())
            if asking.registers:
                await self._ask_units(asking, line)
        except BusError as error:
            if line.exchanges:
                raise
            self._unusable(asking.serial, error)
        else:
            self._usable = True
        finally:
            await line.close()

    async def _search(self, asking: Asking, name: str, driver: Driver[Any], line: Line) -> None:
        probe = driver.probe
        assert probe is not None
        assert probe.search is not None
        self._step(f"{asking.serial}: asking who speaks {name}", probe.within)
        settings: Iterable[Settings] = ()
        try:
            async with asyncio.timeout(probe.within):
                settings = await probe.search(line)
        except Garbled as fault:
            self.notes.append(f"{asking.serial}: {name}: {fault}")
        except (Fault, TimeoutError):  # nobody is there
            return
        trials: dict[str, list[Trial]] = {}
        for one in settings:
            trials.setdefault(f"{name} {getattr(one, 'address', '')}".strip(), []).append(
                Trial(name, driver, one)
            )
        for who, tried in trials.items():
            self.found.append(Found(str(asking.serial), who, ranked(await _fits(tried, line))))

    async def _ask_units(self, asking: Asking, line: SerialLine) -> None:
        garbled: list[int] = []
        for unit in self._plan.addresses:
            self._step(f"{asking.serial}: Modbus unit {unit}", self._plan.address_seconds(asking))
            if self._known(asking.serial, unit):
                continue
            try:
                await self._registers(line, self._plan.within).read(Read(unit, "holding", 0, 1))
            except NoAnswer:
                garbled.clear()
                continue
            except Garbled as fault:
                garbled.append(unit)
                self.notes.append(f"{asking.serial}: unit {unit}: {fault}")
                if len(garbled) == _MOST_GARBLED:
                    self.notes.append(
                        f"{asking.serial}: given up: it is never quiet, or devices here have another format"
                    )
                    return
                continue
            except Refused:
                pass
            garbled.clear()
            trials = [
                Trial(name, driver, settings)
                for name, driver in asking.registers
                for settings in candidates(driver, unit)
            ]
            self._step(f"{asking.serial}: Modbus unit {unit} answers; {len(trials)} profiles are tried")
            patient = _Once(self._registers(line, max(_LONGEST_ANSWER, self._plan.within)))
            self.found.append(Found(str(asking.serial), f"unit {unit}", ranked(await _fits(trials, patient))))

    def _registers(self, line: SerialLine, within: float) -> Registers:
        return registers_at(self._port, line.place(), within)

    def _known(self, serial: SerialFormat, unit: int) -> bool:
        """Say whether a unit answered at this speed: stop bits and parity of others may do for it, too."""
        return any(
            one.who == f"unit {unit}" and SerialFormat.parse(one.serial).baud == serial.baud
            for one in self.found
        )


class _Once:
    """Registers of which each question is asked once, however many profiles have it."""

    def __init__(self, registers: Registers) -> None:
        self._registers = registers
        self._known: dict[Read, bytes | Fault] = {}

    async def read(self, question: Read) -> bytes:
        if question not in self._known:
            try:
                self._known[question] = await self._registers.read(question)
            except Refused as refused:  # not lasting: so a profile of which a part is refused does not fit
                self._known[question] = Refused(str(refused))
            except Fault as fault:
                self._known[question] = fault
        known = self._known[question]
        if isinstance(known, Fault):
            raise known
        return known


async def _fits(trials: Iterable[Trial], line: Any) -> list[Fit]:
    """Poll a device under each of the settings, and return those whose values can be."""
    fits = []
    try:
        async with asyncio.timeout(DEVICE_LIMIT):
            for trial in trials:
                try:
                    device: Any = trial.driver.open(trial.settings)
                    samples = await device.poll(line)
                except (Fault, ValueError):  # ValueError: a profile that breaks the rules
                    continue
                fit = judge(trial.name, trial.driver, trial.settings, device.channels, samples)
                if fit:
                    fits.append(fit)
    except TimeoutError:  # the best of those that were tried is better than nothing
        pass
    return fits


def _decoded(trial: Trial, frame: bytes) -> Fit | None:
    try:
        device: Any = trial.driver.open(trial.settings)
        samples = device.decode(frame)
    except (Fault, ValueError):  # as above
        return None
    return judge(trial.name, trial.driver, trial.settings, device.channels, samples)
