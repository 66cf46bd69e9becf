"""Resolves a device of the configuration: its driver, that driver's settings and object, the bus's format."""

import json
from collections.abc import Iterable
from typing import Any

from edge_agent import driver as contract
from edge_agent import registry
from edge_agent.bus.address import Address
from edge_agent.bus.serial import SerialFormat
from edge_agent.settings.device import Bus, Device
from edge_agent.settings.secret import text_or_secret

_NONE = SerialFormat(9600)


def chosen(device: Device) -> tuple[contract.Driver[Any], contract.Settings]:
    """Return a device's driver, and its settings as that driver reads them.

    Raises:
        UnknownDriverError: there is no such driver, or it cannot be used.
        ValidationError: the settings are not the driver's.
        ValueError: a secret that they name is not there.
    """
    driver = registry.load(device.driver)
    values = {
        key: text_or_secret(value) if isinstance(value, dict) and value.keys() == {"secret"} else value
        for key, value in device.settings.items()
    }
    # strict, so that address = "7" or true is not taken for a number; as JSON, whose lists may be tuples
    written = json.dumps(values, default=str)  # dates have a text of their own
    return driver, driver.settings.model_validate_json(written, strict=True)


def opened(device: Device) -> tuple[contract.Driver[Any], contract.Device]:
    """Return a device's driver and a new device object of it.

    Raises:
        UnknownDriverError: there is no such driver, or it cannot be used.
        ValueError: the settings are not the driver's, or name something that does not exist.
    """
    driver, settings = chosen(device)
    return driver, driver.open(settings)


def channels(driver: contract.Driver[Any], made: contract.Device) -> tuple[contract.Channel, ...]:
    """Return all channels of a device: its driver's, and the signal strength of a broadcaster."""
    own = tuple(made.channels)
    return (*own, contract.SIGNAL) if driver.over is contract.Over.ADVERTISEMENTS else own


def format_of(bus: Bus, devices: Iterable[Device]) -> SerialFormat:
    """Return the serial format a bus starts with: its own, else its devices' factory format.

    Over Modbus TCP and at a contact nothing depends on it.

    Raises:
        ValueError: it has none, and its devices have none or differ.
    """
    if bus.serial is not None:
        return SerialFormat.parse(bus.serial)
    address = Address.parse(bus.port)
    if address.kind == "modbus-tcp" or address.is_contact:
        return _NONE
    formats: set[str] = set()
    for device in devices:
        driver, settings = chosen(device)
        formats.add(driver.serial(settings))
    formats.discard("")
    if len(formats) > 1:
        raise ValueError(
            f"its devices differ ({', '.join(sorted(formats))}); "
            "set them all to one format and write serial ="
        )
    if not formats:
        raise ValueError(
            'no driver knows its format; write serial = "9600 8N1", or what the devices are set to'
        )
    return SerialFormat.parse(formats.pop())
