"""The park's BLE sensors: they broadcast through a fake bluetoothd, each every 2 to 5 s.

The bus between it and the agent is a real D-Bus of the demo's own, so that the machine's Bluetooth, if it has
any, is left alone.
"""

import asyncio
import importlib.util
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.demo import beacons, world
from edge_agent.demo.bluez.air import Peripheral
from edge_agent.demo.bluez.daemon import FakeBlueZ
from edge_agent.demo.bluez.private_bus import NoBusError, PrivateBus

ADAPTER = "hci0"
STORE_KEY = "store-1-key"
_PRIVATE = 0o700
_SHORTEST_S, _LONGEST_S = 2.0, 5.0
_START_WITHIN = 30.0

Broadcast = tuple[dict[str, bytes], dict[int, bytes]]
"""Service data and manufacturer data."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One of them. ``settings`` are those beside the address, as they stand in the configuration."""

    id: str
    name: str
    driver: str
    address: str
    says: Callable[[int, float], Broadcast]
    settings: str = ""


def sensors(key: bytes | None) -> list[Sensor]:
    """Return all sensors; the one that encrypts only where there is a key."""
    store, corridor = "54:48:E6:8F:80:A6", "7C:C6:B6:61:A1:02"
    stairs, roof, office = "A4:C1:38:5A:10:04", "CB:B8:33:4C:88:4F", "54:48:E6:8F:80:A5"
    found = [
        Sensor(
            *("air-1", "Office air", "bthome", office),
            lambda n, t: (beacons.bthome(beacons.climate_objects(n, world.climate(t + 1000))), {}),
            'reports = ["temperature", "humidity", "battery"]',
        ),
        Sensor(
            *("motion-1", "Corridor", "bthome", corridor),
            lambda n, t: (
                beacons.bthome(beacons.motion_objects(n, motion=world.somebody_passes(t)), on_event=True),
                {},
            ),
            'reports = ["motion", "battery"]',
        ),
        Sensor(
            *("stairs-1", "Stairs air", "atc", stairs),
            lambda n, t: (beacons.pvvx(stairs, n, world.climate(t + 2000)), {}),
        ),
        Sensor(
            *("roof-1", "Roof", "ruuvi", roof),
            lambda n, t: ({}, beacons.ruuvi(roof, n, world.outdoors(t))),
        ),
    ]
    if key is not None:
        found.append(
            Sensor(
                *("store-1", "Store air", "bthome", store),
                lambda n, t: (
                    beacons.sealed_bthome(
                        beacons.climate_objects(n, world.climate(t + 3000)), store, key, int(t)
                    ),
                    {},
                ),
                f'reports = ["temperature", "humidity", "battery"], bindkey = {{ secret = "{STORE_KEY}" }}',
            )
        )
    return found


def key_in(secrets_folder: Path) -> bytes | None:
    """Return the key of the sensor that encrypts, None where there is none."""
    with suppress(FileNotFoundError):
        return bytes.fromhex((secrets_folder / STORE_KEY).read_text("ascii"))
    return None


@contextmanager
def running(directory: Path, secrets_folder: Path) -> Iterator[str]:
    """Let there be a bus for the sensors, and a key. Gives "", or why there are no BLE sensors.

    Programs that are started meanwhile take the bus for the system's.
    """
    file = secrets_folder / STORE_KEY
    file.unlink(missing_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(PrivateBus(directory))
        except NoBusError as error:
            yield str(error)
            return
        if importlib.util.find_spec("cryptography"):
            secrets_folder.mkdir(mode=_PRIVATE, exist_ok=True)
            file.touch(0o600)
            file.write_text(secrets.token_hex(16), "ascii")
        yield ""


async def start() -> FakeBlueZ:
    """Start the bluetoothd, with an adapter."""
    fake = FakeBlueZ()
    fake.world.add_adapter(ADAPTER)
    async with asyncio.timeout(_START_WITHIN):
        await fake.start()
    return fake


async def broadcast(fake: FakeBlueZ, secrets_folder: Path) -> None:
    """Let all sensors broadcast, for ever."""
    async with asyncio.TaskGroup() as group:
        for sensor in sensors(key_in(secrets_folder)):
            group.create_task(_broadcast(fake, sensor), name=sensor.id)


async def _broadcast(fake: FakeBlueZ, sensor: Sensor) -> None:
    device = fake.world.add_peripheral(Peripheral(sensor.address), ADAPTER)
    number = random.randrange(256)  # noqa: S311 - where the counter stands
    while True:
        services, makers = sensor.says(number, time.time())
        fake.world.advertise(device, services=services, makers=makers, rssi=random.randint(-75, -60))  # noqa: S311
        number += 1
        await asyncio.sleep(random.uniform(_SHORTEST_S, _LONGEST_S))  # noqa: S311
