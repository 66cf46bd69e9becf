"""Devices that are connected to, through real bleak on a fake BlueZ: read, lost, and read again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from edge_agent.bus.ble.gatt import connected
from edge_agent.bus.ble.radio import Pace, Radio
from edge_agent.demo.bluez.air import Peripheral
from edge_agent.demo.bluez.daemon import FakeBlueZ
from edge_agent.driver import NoAnswer, Refused, service
from tests.bluez import HUMIDITY, MAC, said, until

QUICK = Pace(start=20, retry=0.1, longest_retry=1, silence=60, silence_of_nobody=60, off=0.05, bus_retry=0.1)


@asynccontextmanager
async def scanning() -> AsyncIterator[Radio]:
    made = Radio("hci0", active=True, expect=lambda: None, pace=QUICK)
    made.watch_for(MAC)
    task = asyncio.create_task(made.run())
    try:
        await until(lambda: not made.problem)
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_device_is_read(bluez: FakeBlueZ, sensor: Peripheral) -> None:
    async with scanning() as made:
        with pytest.raises(NoAnswer, match="not heard yet"):
            async with connected(made, MAC):
                pass
        bluez.world.advertise(sensor, services=said(1))
        await until(lambda: made.seen[MAC])
        for _ in range(2):
            async with connected(made, MAC) as gatt:
                assert await gatt.read(HUMIDITY) == b"\x88\x13"
                with pytest.raises(Refused, match="2a6e"):
                    await gatt.read(service(0x2A6E))
        assert not sensor.properties["Connected"]


async def _dropped(bluez: FakeBlueZ, sensor: Peripheral) -> None:
    bluez.world.drop(sensor)


async def _crashed(bluez: FakeBlueZ, _sensor: Peripheral) -> None:
    await bluez.crash()
    await bluez.start()


async def _forgotten(bluez: FakeBlueZ, sensor: Peripheral) -> None:
    bluez.world.forget(sensor)


@pytest.mark.parametrize("breaks", [_dropped, _crashed, _forgotten])
async def test_a_device_is_read_again_after(
    bluez: FakeBlueZ, sensor: Peripheral, breaks: Callable[[FakeBlueZ, Peripheral], Awaitable[None]]
) -> None:
    async with scanning() as made:
        bluez.world.advertise(sensor, services=said(1))
        await until(lambda: made.seen[MAC])
        async with connected(made, MAC) as gatt:
            await breaks(bluez, sensor)
            await until(lambda: not sensor.properties.get("Connected"))
            await asyncio.sleep(0.2)
            with pytest.raises(NoAnswer):
                await gatt.read(HUMIDITY)
        value, number = b"", 2
        async with asyncio.timeout(60):
            while not value:
                bluez.world.advertise(sensor, services=said(number))
                number += 1
                await asyncio.sleep(0.05)
                with contextlib.suppress(NoAnswer):
                    async with connected(made, MAC) as gatt:
                        value = await gatt.read(HUMIDITY)
        assert value == b"\x88\x13"
