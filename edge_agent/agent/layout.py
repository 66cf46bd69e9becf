"""What is to be built from a configuration: devices with their drivers, and the devices of each uplink."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from edge_agent.agent.device_description import describe
from edge_agent.bus.serial import SerialFormat
from edge_agent.driver import Channel, Driver, Over, Settings
from edge_agent.outbox.policy import Care, Enrolment, Selection
from edge_agent.profile import profile_note, profile_text
from edge_agent.settings import resolve
from edge_agent.settings.device import Device as DeviceSettings
from edge_agent.settings.model import Config
from edge_agent.settings.uplink import Uplink
from edge_agent.uplink.selection import selects


@dataclass(frozen=True, slots=True)
class Part:
    """One device to be built. ``opened`` is the driver's object for it; ``kept_as`` its entry in the outbox.

    ``profile`` is the profile's text. Equal parts make equal devices: a reload restarts those that differ.
    """

    id: str
    settings: DeviceSettings
    chosen: Settings
    profile: str
    kept_as: Enrolment
    driver: Driver[Any] = field(compare=False)
    opened: Any = field(compare=False)
    channels: tuple[Channel, ...] = field(compare=False)

    @property
    def talks(self) -> bool:
        """Whether it speaks unasked over a port, which then is its own."""
        return self.driver.over is Over.STREAM


@dataclass(frozen=True, slots=True)
class Layout:
    """All that is to be built. ``formats`` is the serial format of each bus that has a port and devices.

    ``certificates`` is a digest, by uplink, of the certificate files that it names.
    """

    config: Config
    parts: Mapping[str, Part]
    formats: Mapping[str, SerialFormat]
    selections: Mapping[str, Selection]
    certificates: Mapping[str, str]

    def on(self, bus: str) -> list[str]:
        """Return the devices of a bus."""
        return [id_ for id_, part in self.parts.items() if part.settings.bus == bus]


def nothing(config: Config) -> Layout:
    """Return the layout of an agent that is starting: no devices, no buses, no uplinks."""
    return Layout(config.model_copy(update={"device": {}, "bus": {}, "uplink": {}}), {}, {}, {}, {})


def lay_out(config: Config) -> Layout:
    """Make every driver's device object, which opens no port, and select the devices of each uplink.

    Raises:
        UnknownDriverError, ValueError: the configuration was not checked before, or a file that it names has
            changed since.
    """
    parts = {id_: _part(config, id_, device) for id_, device in config.device.items()}
    formats = {}
    for id_, bus in config.bus.items():
        sharing = [device for device in config.device.values() if device.bus == id_]
        if sharing and not bus.ble:
            formats[id_] = resolve.format_of(bus, sharing)
    return Layout(
        config,
        parts,
        formats,
        {name: select(up, parts) for name, up in config.uplink.items()},
        {name: _certificates(up) for name, up in config.uplink.items()},
    )


def _certificates(uplink: Uplink) -> str:
    digest = sha256()
    for file in (uplink.ca, uplink.cert, uplink.key):
        with suppress(OSError):  # connecting says what is wrong with it
            digest.update(file.read_bytes() if file else b"")
        digest.update(b"\0")
    return digest.hexdigest()


def select(uplink: Uplink, parts: Mapping[str, Part]) -> Selection:
    """Return which devices are on an uplink."""
    if uplink.send.selects_all:  # then also what is left of devices that are gone from the file
        return Selection(None, uplink.begin)
    on = {
        id_
        for id_, part in parts.items()
        if selects(uplink.send, id_, part.settings.labels, part.kept_as.names)
    }
    return Selection(on, uplink.begin)


def _part(config: Config, id_: str, device: DeviceSettings) -> Part:
    driver, chosen = resolve.chosen(device)
    opened = driver.open(chosen)
    channels = resolve.channels(driver, opened)
    model = driver.model(chosen) or driver.title
    profile = device.settings.get("profile")
    if profile_note(device.driver, profile):
        model += " (profile of this site)"
    description = describe(config, id_, device, model, channels)
    text = profile_text(device.driver, profile) if isinstance(profile, str) else ""
    care = Care(device.class_, device.when_full)
    kept_as = Enrolment(
        id_, description.hash, description.payload().decode(), tuple(description.channels), care
    )
    return Part(id_, device, chosen, text, kept_as, driver, opened, channels)
