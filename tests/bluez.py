"""A BlueZ without a radio for tests: a private bus, the fake bluetoothd on it, and a sensor in its reach."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.demo.bluez.air import Characteristic, Peripheral
from edge_agent.demo.bluez.daemon import FakeBlueZ
from edge_agent.demo.bluez.private_bus import PrivateBus
from edge_agent.driver import service

MAC = "A4:C1:38:00:00:01"
HUMIDITY = service(0x2A6F)
BTHOME = service(0xFCD2)


@pytest.fixture
def private_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBus]:
    """A system bus of the test's own."""
    with PrivateBus(Path(tmp_path_factory.mktemp("bus"))) as bus:
        yield bus


@pytest.fixture
async def bluez(private_bus: PrivateBus) -> AsyncIterator[FakeBlueZ]:
    """A bluetoothd with one adapter, hci0, that can scan passively."""
    assert private_bus.address
    fake = FakeBlueZ()
    fake.world.add_adapter()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
def sensor(bluez: FakeBlueZ) -> Peripheral:
    """A device that may advertise, and has a humidity to be read."""
    services = {service(0x181A): [Characteristic(HUMIDITY, b"\x88\x13")]}
    return bluez.world.add_peripheral(Peripheral(MAC, "ATC_000001", services))


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - the bus has its own loop
            await asyncio.sleep(0.005)


def said(number: int) -> dict[str, bytes]:
    """A BTHome advertisement of so many hundredths of a degree."""
    return {BTHOME: b"\x40\x02" + number.to_bytes(2, "little")}
