"""How much of its time a bus is taken by asking its devices, from what each driver really asks. No I/O."""

import asyncio
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from edge_agent import registry
from edge_agent.bus.address import Address
from edge_agent.bus.serial import SerialFormat
from edge_agent.driver import Answerer, Fault, Over, profile_text
from edge_agent.onsite.bench import Memory, Script, poll_of
from edge_agent.settings.device import Device
from edge_agent.settings.model import Config
from edge_agent.settings.resolve import chosen, format_of


@dataclass(frozen=True, slots=True)
class Poll:
    """Asking one device once: ``seconds``, each ``interval``. None: nothing is known of what it answers."""

    device: str
    requests: int
    seconds: float | None
    interval: float


@dataclass(frozen=True, slots=True)
class Load:
    """One bus on which devices are asked."""

    bus: str
    serial: str
    polls: tuple[Poll, ...]

    @property
    def busy(self) -> float:
        """The share of its time in which it is taken; above 1 the devices cannot all be asked in time."""
        return sum(poll.seconds / poll.interval for poll in self.polls if poll.seconds is not None)


def loads(config: Config) -> Iterator[Load]:
    """Work out every bus on which devices are asked over a serial line."""
    for name, bus in config.bus.items():
        devices = {id_: device for id_, device in config.device.items() if device.bus == name}
        asked = {
            id_: device
            for id_, device in devices.items()
            if registry.load(device.driver).over in {Over.LINE, Over.REGISTERS}
        }
        if bus.ble or not asked or Address.parse(bus.port).kind == "modbus-tcp":
            continue
        serial = str(format_of(bus, devices.values()))
        yield Load(name, serial, tuple(_poll(id_, one, serial, bus.gap) for id_, one in asked.items()))


def _poll(name: str, device: Device, serial: str, gap: float) -> Poll:
    requests = _requests(device)
    if not requests:
        return Poll(name, 0, None, device.interval)
    quiet = (max(gap, device.gap) + device.gap) * len(requests)
    seconds = poll_of(str(SerialFormat.parse(serial)), requests).seconds + quiet
    return Poll(name, len(requests), round(seconds, 3), device.interval)


def _requests(device: Device) -> list[tuple[str, int]]:
    """Have the driver poll a device whose registers are all 0; of others, what its vectors answer."""
    driver, settings = chosen(device)
    vectors = _vectors(device)
    if driver.over is Over.LINE and not any("says" in vector for vector in vectors):
        longest = max((_recorded(vector) for vector in vectors), default=0)
        return [("as recorded", longest)] if longest else []
    for vector in vectors or [{}]:
        bench = (Script if driver.over is Over.LINE else Memory)(vector)
        opened: Any = driver.open(settings)
        with suppress(Fault):  # zeros may be implausible; what was asked counts
            asyncio.run(cast("Answerer[Any, Any]", opened).poll(bench))
        if requests := bench.requests():
            return requests
    return []


def _vectors(device: Device) -> list[dict[str, Any]]:
    profile = device.settings.get("profile")
    if isinstance(profile, str):
        text = profile_text(device.driver, profile)
    else:
        text = registry.resource(registry.load(device.driver), "vectors.toml")
    return list(tomllib.loads(text).get("vector", []))


def _recorded(vector: dict[str, Any]) -> int:
    return sum(len(bytes.fromhex(str(vector.get(part, "")))) for part in ("request", "response"))
