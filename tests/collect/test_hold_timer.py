"""The timer of a device's holds: one, for the earliest, and none without a hold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from edge_agent.clock import SystemClock
from edge_agent.collect.device import Device
from edge_agent.driver import Channel, Quantity, Sample
from edge_agent.processing.plan import OnChange, Plan
from edge_agent.reading import Reading

CHANNELS = (Channel("occupancy", Quantity.OCCUPANCY), Channel("distance", Quantity.DISTANCE))
SOON = 60  # seconds: a limit, not a measure
HOLD_MS = 300


class Room:
    """A device whose occupancy is held, and what came of it."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.more = asyncio.Event()
        changes = OnChange(frozenset({"occupancy"}), {}, 60_000)
        bounds = {"occupancy": (0, 1), "distance": (0, 9)}
        plan = Plan(bounds, {}, changes, {"occupancy": HOLD_MS})
        self.device = Device("room", CHANNELS, plan, SystemClock("always"), self._keep)

    def _keep(self, reading: Reading) -> None:
        self.readings.append(reading)
        self.more.set()

    def says(self, *, occupied: bool) -> None:
        self.device.heard([Sample("occupancy", occupied), Sample("distance", 1.5)])

    @property
    def told(self) -> list[object]:
        return [reading.values["occupancy"] for reading in self.readings]


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    yield room
    room.device.close()


async def test_a_hold_ends_by_itself_and_says_nothing_but_that(room: Room) -> None:
    room.says(occupied=True)
    room.says(occupied=False)
    room.more.clear()
    async with asyncio.timeout(SOON):
        await room.more.wait()
    held, ended = room.readings
    assert held.values == {"occupancy": True, "distance": 1.5}
    assert ended.values == {"occupancy": False}, "what was not heard again is not said again"
    assert ended.mono_ms - held.mono_ms >= HOLD_MS
    assert room.device.values == {"occupancy": False, "distance": 1.5}


async def test_true_again_puts_the_end_off() -> None:
    for _ in range(20):
        room = Room()
        with closing(room.device):
            if await _said_again_and_again(room) > HOLD_MS / 2000:
                continue  # the machine is busy: a hold may have ended meanwhile
            assert room.told == [True]
            room.more.clear()
            async with asyncio.timeout(SOON):
                await room.more.wait()
            assert room.told == [True, False]
            return
    pytest.fail("the machine is too busy")


async def _said_again_and_again(room: Room) -> float:
    """Say it for twice as long as it is held; return the longest pause, in seconds."""
    loop, longest = asyncio.get_running_loop(), 0.0
    for _ in range(8):
        began = loop.time()
        room.says(occupied=True)
        room.says(occupied=False)
        await asyncio.sleep(HOLD_MS / 4000)
        longest = max(longest, loop.time() - began)
    return longest


async def test_a_tick_is_no_sign_of_life(room: Room) -> None:
    room.says(occupied=True)
    room.says(occupied=False)
    room.more.clear()
    async with asyncio.timeout(SOON):
        await room.more.wait()
    assert room.device.heard_s is not None
    assert room.device.heard_s * 1000 > HOLD_MS / 2  # nearly all of it: clocks are rounded


async def test_closing_ends_the_timer(room: Room) -> None:
    room.says(occupied=True)
    room.says(occupied=False)
    room.device.close()
    await asyncio.sleep(2 * HOLD_MS / 1000)
    assert room.told == [True]
