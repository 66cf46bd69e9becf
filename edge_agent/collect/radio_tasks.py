"""The loops around BLE devices: hear one that broadcasts, or connect to one on a schedule."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing

from edge_agent.bus.recent_frames import RecentFrames
from edge_agent.collect.device import Device
from edge_agent.collect.schedule import Schedule
from edge_agent.driver import SIGNAL, Advertisement, Answerer, Beacon, Fault, Gatt, Sample
from edge_agent.fault import fault_text

_FIRST_WITHIN = 60.0  # seconds over which the first connections are spread
_SHORTEST_INTERVAL = 60.0  # a connection costs the device's battery


def hear(device: Device, beacon: Beacon) -> Callable[[Advertisement, bool], None]:
    """Return what is told the advertisements of a device, and whether they say anything new."""

    def tell(advert: Advertisement, new: bool) -> None:  # noqa: FBT001 - a plain fact
        if not new:
            device.present()
            return
        device.recent_frames.add(b"", advert)
        try:
            device.heard([*beacon.decode(advert), Sample(SIGNAL.name, advert.rssi)])
        except Fault as fault:
            device.fault(fault)

    return tell


class _Noted:
    """A connection of whose characteristics note is taken."""

    def __init__(self, gatt: Gatt, recent_frames: RecentFrames) -> None:
        self._gatt, self._recent_frames = gatt, recent_frames

    async def read(self, characteristic: str) -> bytes:
        try:
            value = await self._gatt.read(characteristic)
        except Fault as fault:
            self._recent_frames.add(characteristic, b"", fault_text(fault))
            raise
        self._recent_frames.add(characteristic, value)
        return value


async def held(device: Device) -> None:
    """Do nothing for ever: the radio tells a broadcaster's device what it hears."""
    with closing(device):
        await asyncio.Event().wait()


async def connect(
    device: Device,
    driver: Answerer[Gatt, str],
    connected: Callable[[], AbstractAsyncContextManager[Gatt]],
    interval: float,
) -> None:
    """Connect to a device each ``interval`` seconds, a minute at least, and ask for everything, for ever."""
    loop = asyncio.get_running_loop()
    interval = max(interval, _SHORTEST_INTERVAL)
    spread = random.uniform(0, min(interval, _FIRST_WITHIN))  # noqa: S311 - jitter
    schedule = Schedule(interval, loop.time() + spread)
    with closing(device):
        while True:
            await asyncio.sleep(schedule.due - loop.time())
            began = loop.time()
            try:
                async with connected() as gatt:
                    device.heard(await driver.poll(_Noted(gatt, device.recent_frames)))
            except Fault as fault:
                if not device.recent_frames.since(began):
                    device.recent_frames.add("", b"", fault_text(fault))
                device.fault(fault)
                schedule.failed(loop.time(), loop.time() - began)
            else:
                schedule.went_well(loop.time())
