"""What a scan tries, in which order, and how long that takes at most. No I/O."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edge_agent import registry
from edge_agent.bus.address import Kind
from edge_agent.bus.serial import SerialFormat
from edge_agent.driver import Driver, Over, Settings

GAP = 0.02  # seconds of quiet before a request
DEVICE_LIMIT = 20.0  # seconds that reading one device under all its candidates may take
_REQUEST = 8  # bytes of a Modbus request to read
_SPOKEN_WITHIN = 4.5  # seconds in which a device that speaks unasked is heard, where its driver says no other
_ASSUMED = SerialFormat(9600)  # of a line whose format is set elsewhere
_OPENING = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class Trial:
    """One driver, and the settings under which it is tried."""

    name: str
    driver: Driver[Any]
    settings: Settings


@dataclass(frozen=True, slots=True)
class Listening:
    """A serial format in which devices may speak unasked."""

    serial: SerialFormat
    trials: tuple[Trial, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Asking:
    """A serial format in which devices may answer. Drivers by name: over a line, and over registers."""

    serial: SerialFormat
    searches: tuple[tuple[str, Driver[Any]], ...]
    registers: tuple[tuple[str, Driver[Any]], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole scan. ``within`` is how long a device may take until its answer begins, in seconds."""

    listening: tuple[Listening, ...]
    asking: tuple[Asking, ...]
    addresses: Sequence[int]
    within: float

    @property
    def longest_listening(self) -> float:
        """How long a line must be silent until it is taken for one on which nobody speaks unasked."""
        return max((one.seconds for one in self.listening), default=0.0)

    def listening_seconds(self, index: int) -> float:
        """Return how long is listened in one format: in the first one for all of them."""
        return self.listening[index].seconds if index else self.longest_listening

    def address_seconds(self, asking: Asking) -> float:
        """Return what a silent address costs."""
        return asking.serial.seconds(_REQUEST) + self.within + GAP

    def asking_seconds(self, asking: Asking) -> float:
        """Return what one format costs where nobody answers."""
        searches = sum(probe.within for _, driver in asking.searches if (probe := driver.probe))
        asked = len(self.addresses) * self.address_seconds(asking) if asking.registers else 0.0
        return _OPENING + searches + asked

    @property
    def seconds(self) -> float:
        """Return how long the scan takes at most, without the devices that it finds."""
        listening = sum(self.listening_seconds(index) + _OPENING for index in range(len(self.listening)))
        return listening + sum(map(self.asking_seconds, self.asking))


def plan_scan(
    drivers: Collection[str],
    formats: Sequence[SerialFormat],
    addresses: Sequence[int],
    within: float,
    kind: Kind = "tty",
) -> Plan:
    """Plan a scan for these drivers (all, if none is named) in these formats (else in those they name).

    The far end of a plain connection has its own serial format, so that one pass is enough there; and over
    Modbus TCP only registers are asked.

    Raises:
        UnknownDriverError: a driver that is named is not there, or cannot be used.
        ValueError: there is nothing to scan for on such a port.
    """
    if kind in {"socket", "modbus-tcp"}:
        formats = formats[:1] or [_ASSUMED]
    named = [(name, registry.load(name)) for name in drivers]
    known = named or [(entry.name, entry.driver) for entry in registry.entries() if entry.driver]
    if kind == "modbus-tcp":
        known = [(name, driver) for name, driver in known if driver.over is Over.REGISTERS]
    listening, asking = tuple(_listening(known, formats)), tuple(_asking(known, formats))
    if kind in {"contact", "gpio"} or not (listening or asking):
        what = ", ".join(drivers) or "what is there"
        raise ValueError(f"{what} cannot be found on such a port; scan a serial port, for other drivers")
    return Plan(listening, asking, addresses, within)


def candidates(driver: Driver[Any], address: int) -> Iterator[Settings]:
    """Return the settings under which a scan tries a driver at an address (0 over a stream)."""
    probe = driver.probe
    if probe is not None and probe.candidates is not None:
        yield from probe.candidates(address)
    elif driver.over is Over.STREAM:
        try:
            yield driver.settings()
        except ValidationError:  # it needs to be told something, such as a key
            return


def factory(driver: Driver[Any], settings: Settings) -> str:
    """Return the serial format that a device has from its factory, "" where nobody knows it."""
    try:
        return driver.serial(settings)
    except ValueError:  # a profile that breaks the rules
        return ""


def _listening(
    known: Iterable[tuple[str, Driver[Any]]], formats: Sequence[SerialFormat]
) -> Iterator[Listening]:
    trials: dict[str, list[Trial]] = {}
    for name, driver in known:
        if driver.over is Over.STREAM:
            for settings in candidates(driver, 0):
                for serial in _formats(driver, [settings], formats):
                    trials.setdefault(serial, []).append(Trial(name, driver, settings))
    # what is listened to too fast is heard as other bytes, what is listened to too slowly perhaps not at all
    for serial in sorted(trials, key=lambda serial: -SerialFormat.parse(serial).baud):
        tried = tuple(trials[serial])
        seconds = max(
            (one.driver.probe.within if one.driver.probe else _SPOKEN_WITHIN for one in tried), default=0.0
        )
        yield Listening(SerialFormat.parse(serial), tried, seconds)


def _asking(known: Iterable[tuple[str, Driver[Any]]], formats: Sequence[SerialFormat]) -> Iterator[Asking]:
    """Merge the formats: first what a driver meets most often, and what more of them meet."""
    searches = {name: driver for name, driver in known if driver.probe and driver.probe.search}
    registers = {
        name: driver for name, driver in known if driver.over is Over.REGISTERS and driver.probe is not None
    }
    met = {
        name: list(_formats(driver, candidates(driver, 1) if name in registers else (), formats))
        for name, driver in (searches | registers).items()
    }
    everywhere = dict.fromkeys(serial for own in met.values() for serial in own)
    for serial in sorted(everywhere, key=lambda serial: _rank(serial, met.values())):
        drivers = [name for name, own in met.items() if serial in own]
        yield Asking(
            SerialFormat.parse(serial),
            tuple((name, searches[name]) for name in drivers if name in searches),
            tuple((name, registers[name]) for name in drivers if name in registers),
        )


def _rank(serial: str, met: Iterable[list[str]]) -> tuple[int, int]:
    places = [own.index(serial) for own in met if serial in own]
    return min(places), -len(places)


def _formats(
    driver: Driver[Any], tried: Iterable[Settings], formats: Sequence[SerialFormat]
) -> Iterable[str]:
    if formats:
        return [str(serial) for serial in formats]
    usual = driver.probe.formats if driver.probe else ()
    factory_formats = [factory(driver, settings) for settings in tried]
    return dict.fromkeys(str(SerialFormat.parse(serial)) for serial in (*usual, *factory_formats) if serial)
