"""Checks across the tables of a configuration: do buses, drivers, devices and channels fit together?"""

import os
from collections import defaultdict
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edge_agent import registry
from edge_agent.bus.address import Address
from edge_agent.driver import Over, ProfileError
from edge_agent.registry import UnknownDriverError
from edge_agent.settings.device import Bus, Device
from edge_agent.settings.device_channels import check_channels
from edge_agent.settings.resolve import channels, chosen, format_of, opened
from edge_agent.settings.validation_errors import Finding, finding_of, findings, near

_ON_THE_AIR = {Over.ADVERTISEMENTS, Over.GATT}
_AGENT = "gateway"


@dataclass(frozen=True, slots=True)
class _Fit:
    """A device whose driver takes its settings."""

    name: str
    device: Device
    over: Over
    address: Any


def check(
    buses: Mapping[str, Bus], devices: Mapping[str, Device], named: Collection[str]
) -> Iterator[Finding]:
    """Yield all that does not fit.

    ``named`` are the buses that the file names; those with a problem of their own are not in ``buses``.
    """
    yield from _ports(buses)
    on_bus: dict[str, list[_Fit]] = defaultdict(list)
    for name, device in devices.items():
        if name == _AGENT:
            yield Finding(("device", name), "is the agent's own name in MQTT", "give the device another id")
        if device.bus not in named:
            hint = near(device.bus, named, "buses of this file")
            yield Finding(("device", name, "bus"), f"there is no bus {device.bus!r}", hint)
        fit = yield from _device(name, device)
        if fit and device.bus in buses:
            on_bus[device.bus].append(fit)
    for name, fits in on_bus.items():
        yield from _fitting(name, buses[name], fits)
        ble = bool(buses[name].ble)
        yield from _shared(name, buses[name], [fit for fit in fits if (fit.over in _ON_THE_AIR) is ble])


def _ports(buses: Mapping[str, Bus]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for name, bus in buses.items():
        key, place = ("ble", bus.ble) if bus.ble else ("port", _place(bus.port))
        owner = owners.setdefault(place, name)
        if owner != name:
            yield Finding(("bus", name, key), f"is the {key} of bus {owner!r} too", f"a {key} has one bus")


def _place(port: str) -> str:
    address = Address.parse(port)
    return f"{address.host}:{address.number}" if address.host else os.path.realpath(port)


def _device(name: str, device: Device) -> Generator[Finding, None, _Fit | None]:
    """Find what is wrong with one device by itself. Returns it if its driver takes it."""
    place = ("device", name)
    try:
        driver, made = opened(device)
        _, settings = chosen(device)
    except UnknownDriverError as error:
        yield finding_of((*place, "driver"), error)
        return None
    except ValidationError as error:
        yield from findings(error, registry.load(device.driver).settings, (*place, "settings"))
        return None
    except ProfileError as error:
        yield finding_of((*place, "settings", *_meant(device, str(error))), error)._replace(alone=name)
        return None
    except ValueError as error:
        yield finding_of((*place, "settings", *_meant(device, str(error))), error)
        return None
    yield from check_channels(name, device, channels(driver, made))
    return _Fit(name, device, driver.over, getattr(settings, "address", None))


def _meant(device: Device, message: str) -> list[str]:
    """Return the setting that a message quotes, if it quotes one: its text, or the secret it names."""
    quoted = {
        key: value.get("secret") if isinstance(value, dict) else value
        for key, value in device.settings.items()
    }
    return [key for key, text in quoted.items() if isinstance(text, str) and repr(text) in message][:1]


def _fitting(name: str, bus: Bus, fits: list[_Fit]) -> Iterator[Finding]:
    """Find which devices cannot be on a bus of that kind."""
    for fit in fits:
        if bus.ble and fit.over not in _ON_THE_AIR:
            wrong = f"does not speak BLE, and bus {name!r} is a BLE adapter"
            yield Finding(("device", fit.name, "bus"), wrong, "give it a bus with a port")
        elif not bus.ble and fit.over in _ON_THE_AIR:
            wrong = f"speaks BLE, and bus {name!r} is a port"
            yield Finding(("device", fit.name, "bus"), wrong, 'give it a bus with ble = "hci0"')
    if bus.ble:
        return
    address = Address.parse(bus.port)
    if address.is_contact:
        yield from _contact(name, bus, fits)
    if address.kind != "modbus-tcp":
        return
    if bus.serial is not None:
        wrong = "has no meaning for modbus-tcp://"
        yield Finding(("bus", name, "serial"), wrong, "remove it; the format is set at the Modbus gateway")
    for fit in fits:
        if fit.over is not Over.REGISTERS:
            wrong = f"does not speak Modbus, and bus {name!r} is modbus-tcp://"
            yield Finding(("device", fit.name, "bus"), wrong, "give it another bus")


def _contact(name: str, bus: Bus, fits: list[_Fit]) -> Iterator[Finding]:
    """Find which devices are more than a contact."""
    if bus.serial is not None:
        yield Finding(("bus", name, "serial"), "has no meaning for a contact", "remove it")
    for fit in fits:
        driver, settings = chosen(fit.device)
        if fit.over is not Over.STREAM or driver.serial(settings):
            wrong = f"speaks over a serial line, and bus {name!r} is a contact"
            yield Finding(("device", fit.name, "bus"), wrong, "give it another bus, or another driver")


def _shared(name: str, bus: Bus, fits: list[_Fit]) -> Iterator[Finding]:
    """Find what is wrong between the devices of one bus."""
    talkers = [fit for fit in fits if fit.over is Over.STREAM]
    for fit in talkers if len(fits) > 1 else []:
        others = ", ".join(other.name for other in fits if other is not fit)
        wrong = f"speaks unasked and needs bus {name!r} for itself, and shares it with {others}"
        yield Finding(("device", fit.name, "bus"), wrong, "give each a bus of its own")
    owners: dict[Any, str] = {}
    for fit in fits:
        owner = fit.name if fit.address is None else owners.setdefault(fit.address, fit.name)
        if owner != fit.name:
            wrong = f"{fit.address} is the address of {owner} on bus {name!r} too"
            yield Finding(("device", fit.name, "settings", "address"), wrong, "give each device its own")
    if not bus.ble and (not talkers or len(fits) == 1):
        try:
            format_of(bus, [fit.device for fit in fits])
        except ValueError as error:
            yield finding_of(("bus", name, "serial"), error)
