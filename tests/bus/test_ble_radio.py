"""The radio through real bleak on a fake BlueZ: what it tells, and that it heals from whatever happens."""

import asyncio
import contextlib
import gc
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from edge_agent.bus.ble.radio import Pace, Radio
from edge_agent.demo.bluez.air import Peripheral
from edge_agent.demo.bluez.calls import Refusal
from edge_agent.demo.bluez.daemon import FakeBlueZ, Fault
from edge_agent.demo.bluez.private_bus import PrivateBus
from edge_agent.driver import Advertisement, Broadcast
from tests.bluez import BTHOME, MAC, said, until

CARES = Broadcast(services=(BTHOME,))
QUICK = Pace(start=20, retry=0.1, longest_retry=1, silence=60, silence_of_nobody=60, off=0.05, bus_retry=0.1)
DEAF = replace(QUICK, silence=0.3, silence_of_nobody=0.3, longest_silence=0.6)
MODES = pytest.mark.parametrize("mode", ["active", "passive"])


class Heard(list[tuple[Advertisement, bool]]):
    """What a radio told."""

    def __call__(self, advert: Advertisement, new: bool) -> None:  # noqa: FBT001 - a plain fact
        self.append((advert, new))

    @property
    def numbers(self) -> list[int]:
        return [
            int.from_bytes(advert.service_data[BTHOME][2:], "little")
            for advert, new in self
            if new and BTHOME in advert.service_data
        ]


def radio(heard: Heard, *, active: bool = True, pace: Pace = QUICK, address: str = MAC) -> Radio:
    made = Radio("hci0", active=active, expect=lambda: None, pace=pace)
    made.listen(address, CARES, heard)
    return made


@asynccontextmanager
async def running(made: Radio) -> AsyncIterator[Radio]:
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def scanning(made: Radio) -> None:
    await until(lambda: not made.problem)


async def hear(bluez: FakeBlueZ, device: Peripheral, heard: Heard, number: int) -> None:
    """Let a device say a number until it is heard, and something else in between, as sensors do."""
    async with asyncio.timeout(60):
        while number not in heard.numbers:
            bluez.world.advertise(device, services=said(1))
            bluez.world.advertise(device, services=said(number))
            await asyncio.sleep(0.02)


@MODES
async def test_what_is_heard(bluez: FakeBlueZ, sensor: Peripheral, mode: str) -> None:
    heard = Heard()
    other = bluez.world.add_peripheral(Peripheral("A4:C1:38:00:00:02"))
    async with running(radio(heard, active=mode == "active")) as made:
        await scanning(made)
        await until(lambda: mode == "active" or any(bluez.world.adapters["hci0"].monitors.values()))
        bluez.world.advertise(sensor, services=said(5), rssi=-70)
        await until(lambda: heard)
        bluez.world.advertise(other, services=said(6))
        bluez.world.advertise(sensor, services=said(5), rssi=-40)  # nearer, and says nothing new
        await until(lambda: len(heard) > 1)
    assert [(advert.address, advert.rssi, new) for advert, new in heard] == [
        (MAC, -70, True),
        (MAC, -40, False),
    ]
    assert ("StartDiscovery" in bluez.calls) == (mode == "active")
    assert not bluez.world.adapters["hci0"].sessions
    assert not bluez.world.adapters["hci0"].monitors


@pytest.mark.usefixtures("private_bus")
async def test_a_bluetoothd_that_refuses_passive_scans() -> None:
    fake = FakeBlueZ()
    fake.world.add_adapter(passive=False)
    await fake.start()
    heard = Heard()
    device = fake.world.add_peripheral(Peripheral(MAC))
    async with running(radio(heard, active=False)) as made:
        await hear(fake, device, heard, 7)
        assert not made.passive
        assert made.restarts == 0
    await fake.stop()


async def test_whoever_has_no_pattern_is_scanned_for_actively(bluez: FakeBlueZ, sensor: Peripheral) -> None:
    made = Radio("hci0", active=False, expect=lambda: None, pace=QUICK)
    made.watch_for(MAC)
    async with running(made):
        await scanning(made)
        bluez.world.advertise(sensor, services=said(1))
        await until(lambda: made.seen[MAC])


@MODES
async def test_who_comes_and_goes_while_it_scans(bluez: FakeBlueZ, sensor: Peripheral, mode: str) -> None:
    """A reload adds and removes devices; the others are heard on."""
    first, second = Heard(), Heard()
    other = bluez.world.add_peripheral(Peripheral("A4:C1:38:00:00:02"))
    made = Radio("hci0", active=mode == "active", expect=lambda: None, pace=QUICK)
    made.listen(MAC, CARES, first)
    async with running(made):
        await scanning(made)
        await hear(bluez, sensor, first, 5)
        end = made.listen(other.address, CARES, second)
        await hear(bluez, other, second, 6)
        await hear(bluez, sensor, first, 7)
        end()
        before = len(second)
        await hear(bluez, sensor, first, 8)
        bluez.world.advertise(other, services=said(9))
        await hear(bluez, sensor, first, 10)
        assert len(second) == before
        assert made.passive == (mode == "passive")


async def crash(bluez: FakeBlueZ, _bus: PrivateBus, _made: Radio) -> None:
    await bluez.crash()
    await asyncio.sleep(0.05)
    await bluez.start()


async def restart(bluez: FakeBlueZ, _bus: PrivateBus, _made: Radio) -> None:
    await bluez.stop()
    await asyncio.sleep(0.05)
    await bluez.start()


async def power(bluez: FakeBlueZ, _bus: PrivateBus, made: Radio) -> None:
    bluez.world.set_powered(False)
    await until(lambda: "no power" in made.problem)
    bluez.world.set_powered(True)


async def unplug(bluez: FakeBlueZ, _bus: PrivateBus, made: Radio) -> None:
    bluez.world.remove_adapter()
    await until(lambda: "no such adapter" in made.problem)
    bluez.world.add_adapter()


async def bus_restart(bluez: FakeBlueZ, bus: PrivateBus, made: Radio) -> None:
    bus.stop()
    await bluez.crash()
    await until(lambda: made.problem)
    bus.start()  # by this thread, with which it ends
    await bluez.start()


async def hang(bluez: FakeBlueZ, _bus: PrivateBus, _made: Radio) -> None:
    for member in ("StartDiscovery", "RegisterMonitor"):
        bluez.fail(member, Fault(hang=True))
    await crash(bluez, _bus, _made)


async def in_progress(bluez: FakeBlueZ, _bus: PrivateBus, _made: Radio) -> None:
    for member in ("StartDiscovery", "RegisterMonitor"):
        bluez.fail(member, Fault(Refusal("InProgress")), times=2)
    await crash(bluez, _bus, _made)


async def stall(bluez: FakeBlueZ, _bus: PrivateBus, made: Radio) -> None:
    bluez.world.stalled = True
    await until(lambda: made.restarts)
    made._pace = QUICK  # one is what is asked for, however long it takes until something is heard
    bluez.world.stalled = False


Breaks = Callable[[FakeBlueZ, PrivateBus, Radio], Awaitable[None]]


@MODES
@pytest.mark.parametrize("breaks", [crash, restart, power, unplug, bus_restart, hang, in_progress, stall])
async def test_it_recovers_with_one_restart(
    private_bus: PrivateBus, bluez: FakeBlueZ, sensor: Peripheral, mode: str, breaks: Breaks
) -> None:
    heard = Heard()
    paces: dict[Breaks, Pace] = {hang: replace(QUICK, start=2), stall: replace(QUICK, silence_of_nobody=0.5)}
    pace = paces.get(breaks, QUICK)
    async with running(radio(heard, active=mode == "active", pace=pace)) as made:
        await hear(bluez, sensor, heard, 20)
        await breaks(bluez, private_bus, made)
        if breaks is unplug:  # the new adapter has the device in its reach, too
            sensor = bluez.world.add_peripheral(Peripheral(MAC))
        await hear(bluez, sensor, heard, 21)
        assert (made.problem, made.restarts, made.power_cycles) == ("", 1, 0)


async def test_devices_that_come_online_shorten_the_silence_that_is_right(bluez: FakeBlueZ) -> None:
    """When a scan starts nobody is online: that must not decide for how long a deaf one is left alone."""
    expected: list[float] = []
    made = Radio(
        "hci0", active=True, expect=lambda: min(expected, default=None), pace=replace(QUICK, silence=0.3)
    )
    async with running(made):
        await scanning(made)
        bluez.world.stalled = True
        expected.append(0.05)
        await until(lambda: made.restarts)


async def test_a_scan_that_stays_deaf(
    bluez: FakeBlueZ, sensor: Peripheral, caplog: pytest.LogCaptureFixture
) -> None:
    """Restarted, less and less often; the power is switched once, as long as an hour has not passed."""
    heard = Heard()
    async with running(radio(heard, pace=DEAF)) as made:
        await hear(bluez, sensor, heard, 20)
        bluez.world.stalled = True
        await until(lambda: made.restarts >= 4)
        assert made.power_cycles == 1
        bluez.world.stalled = False
        await hear(bluez, sensor, heard, 21)
    assert bluez.calls.count("Set") == 2, "off and on"
    silent = [line for line in caplog.messages if "nothing was heard" in line and "restarts" in line]
    assert len(silent) <= made.restarts


async def test_scans_that_end_soon_are_begun_less_and_less_often(
    bluez: FakeBlueZ, sensor: Peripheral
) -> None:
    """An adapter that flaps: without a pause it would be asked ten times a second, each with log lines."""
    adapter = bluez.world.adapters["hci0"]
    heard = Heard()
    made = radio(heard, pace=replace(QUICK, retry=0.01, longest_retry=60))
    pauses: list[float] = []
    async with running(made), asyncio.timeout(60):
        for number in range(5):
            await scanning(made)
            await hear(bluez, sensor, heard, 10 + number)
            ended = monotonic()
            bluez.world.end_discovery(adapter)
            await until(lambda: made.problem)
            await scanning(made)
            pauses.append(monotonic() - ended)
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8, 1.6), strict=True)), pauses


@pytest.mark.usefixtures("bluez")
async def test_devices_that_come_are_scanned_for_at_once_each_time() -> None:
    made = radio(Heard(), pace=replace(QUICK, longest_retry=60))
    async with running(made), asyncio.timeout(60):
        for number in range(8):
            await scanning(made)
            made.listen(f"A4:C1:38:00:00:{number:02X}", CARES, Heard())
            await until(lambda: made.problem)
        await scanning(made)
    assert made.restarts == 8


async def test_whoever_is_connected_to_is_never_scanned_for_passively(
    bluez: FakeBlueZ, sensor: Peripheral
) -> None:
    """A passive scan beside a broadcaster would not tell of it."""
    bluez.fail("StartDiscovery", Fault(Refusal("InProgress")), times=4)
    made = radio(Heard(), address="A4:C1:38:00:00:02", pace=replace(QUICK, retry=0.01, longest_retry=0.02))
    made.watch_for(MAC)
    async with running(made):
        await until(lambda: "restart bluetooth" in made.problem)
        await scanning(made)
        assert not made.passive
        bluez.world.advertise(sensor, makers={0x0499: b"1"})
        await until(lambda: made.seen[MAC])


async def test_an_adapter_that_stays_away_is_said_once(
    bluez: FakeBlueZ, caplog: pytest.LogCaptureFixture
) -> None:
    bluez.world.remove_adapter()
    async with running(radio(Heard(), pace=replace(QUICK, retry=0.01, longest_retry=0.02))) as made:
        await until(lambda: bluez.calls.count("GetManagedObjects"))
        await asyncio.sleep(0.5)
        assert "there is no such adapter; plug it in" in made.problem
    assert len([line for line in caplog.messages if "no such adapter" in line]) == 1


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


async def _passers_by(bluez: FakeBlueZ, heard: Heard, sensor: Peripheral, first: int, count: int) -> None:
    """Let phones come, advertise once and go, and the sensor speak in between."""
    world = bluez.world
    for number in range(first, first + count):
        address = ":".join(
            f"{byte:02X}" for byte in (0x40 | number >> 24 & 0x3F, 0, *number.to_bytes(4, "big"))
        )
        phone = world.add_peripheral(Peripheral(address))
        world.advertise(phone, makers={0x004C: number.to_bytes(4, "big")})
        world.forget(phone)
        del world.adapters["hci0"].devices[phone.path]
        if number % 500 == 0:
            world.advertise(sensor, services=said(number // 500 % 60_000))
            await world.wire.drained()
            await asyncio.sleep(0)
    del heard[:-1]


@pytest.mark.parametrize(
    "hours", [4, pytest.param(7 * 24, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
async def test_five_thousand_random_addresses_an_hour(
    bluez: FakeBlueZ, sensor: Peripheral, hours: int
) -> None:
    """What is remembered of passers-by is bounded, also where everything is listened to."""
    heard, all_of_them = Heard(), Heard()
    made = radio(heard)
    made.listen("", Broadcast(), all_of_them)
    sizes = []
    async with running(made):
        await scanning(made)
        for hour in range(hours):
            await _passers_by(bluez, heard, sensor, hour * 5000, 5000)
            await until(lambda: made.heard >= (hour + 1) * 5010)  # noqa: B023 - called at once
            assert heard.numbers[-1] == ((hour + 1) * 5000 - 500) // 500 % 60_000
            all_of_them.clear()
            gc.collect()
            sizes.append(_rss())
        assert made.restarts == 0
        assert len(made._last) <= 501
    grown = (sizes[-1] - sizes[1]) / 1e6
    assert grown < 5, f"{grown:.1f} MB"
