"""The loops around the devices: ask one on a schedule, or listen to one that speaks unasked."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from functools import partial
from typing import TypeVar

from edge_agent.bus.device_line import DeviceLine
from edge_agent.bus.serial import BusError
from edge_agent.bus.talker import SerialStream
from edge_agent.collect.device import Device
from edge_agent.collect.polling import Polling
from edge_agent.collect.schedule import Schedule
from edge_agent.driver import Answerer, Fault, Line, Read, Registers, Talker
from edge_agent.fault import fault_text

_FIRST_WITHIN = 1.0  # seconds over which the first questions to many devices are spread
_BUS_PAUSE = 1.0  # seconds, at least, until a bus that is gone is asked again
_SETUP_WITHIN = 20.0  # seconds until a device that is told how to report is only listened to
_SHORTEST_LOOK, _LONGEST_LOOK = 1.0, 3600.0  # seconds between looks at who is late

L = TypeVar("L", Line, Registers)
Q = TypeVar("Q", bytes, Read)


async def ask(device: Device, driver: Answerer[L, Q], line: L, place: DeviceLine, polling: Polling) -> None:
    """Ask a device for everything over ``line``, as often as ``polling`` says, for ever.

    ``place`` is its own on the bus. What is asked out of turn changes nothing of the schedule.
    """
    loop = asyncio.get_running_loop()
    spread = random.uniform(0, min(polling.interval, _FIRST_WITHIN))  # noqa: S311 - jitter
    schedule = Schedule(polling.interval, loop.time() + spread)
    with closing(device):
        while True:
            due = await polling.wait_due(schedule)
            place.due, place.spent = schedule.due if due else loop.time(), 0.0
            try:
                samples = await driver.poll(line)
                device.heard(samples)
            except Fault as fault:
                device.fault(fault)
                polling.failed(fault)
                if due:
                    schedule.failed(loop.time(), place.spent)
            except BusError as error:  # still due: asked as soon as the bus is back, however long that took
                device.bus_gone(str(error))
                polling.failed(error)
                await asyncio.sleep(max(place.retry_in, _BUS_PAUSE))
            else:
                polling.answered(samples)
                if due:
                    schedule.went_well(loop.time())


async def listen(
    device: Device,
    driver: Talker,
    stream: SerialStream,
    setup: Callable[[Line], Awaitable[None]] | None = None,
) -> None:
    """Hear all that a device says, for ever. ``setup`` is for whenever the port has opened."""
    prepare = partial(_set_up, device, setup) if setup else None
    with closing(device):
        while True:
            try:
                async for frame in stream.frames(prepare):
                    device.recent_frames.add(b"", frame)
                    try:
                        device.heard(driver.decode(frame))
                    except Fault as fault:
                        device.fault(fault)
            except BusError as error:  # the stream waits before it tries the port again
                device.bus_gone(str(error))


async def _set_up(device: Device, setup: Callable[[Line], Awaitable[None]], line: Line) -> None:
    try:
        async with asyncio.timeout(_SETUP_WITHIN):
            await setup(line)
    except TimeoutError:
        device.is_set_up(f"it takes longer than {_SETUP_WITHIN:g} s")
    except Fault as fault:
        device.is_set_up(fault_text(fault))
    else:
        device.is_set_up()


async def watch(devices: Iterable[Device]) -> None:
    """See who is late or offline, no more often than that can change."""
    devices = list(devices)
    while True:
        wait = min((device.look() for device in devices), default=_LONGEST_LOOK)
        await asyncio.sleep(max(_SHORTEST_LOOK, wait))
