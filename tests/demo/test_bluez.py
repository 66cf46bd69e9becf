"""Real bleak takes the fake bluetoothd for BlueZ, and finds what it must be kept alive against."""

import asyncio

import pytest
from bleak import BleakClient, BleakScanner
from bleak.args.bluez import OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakError

from edge_agent.demo.bluez.air import Peripheral
from edge_agent.demo.bluez.calls import Refusal
from edge_agent.demo.bluez.daemon import FakeBlueZ, Fault
from tests.bluez import HUMIDITY, MAC, said, until

PATTERNS: list[OrPattern | tuple[int, AdvertisementDataType, bytes]] = [
    OrPattern(0, AdvertisementDataType.SERVICE_DATA_UUID16, b"\xd2\xfc")
]


class Heard(list[tuple[BLEDevice, AdvertisementData]]):
    """What a scanner told."""

    def __call__(self, device: BLEDevice, said: AdvertisementData) -> None:
        self.append((device, said))


async def test_an_active_scan(bluez: FakeBlueZ, sensor: Peripheral) -> None:
    heard = Heard()
    async with BleakScanner(heard):
        assert bluez.world.advertise(sensor, services=said(1), rssi=-61)
        await until(lambda: heard)
        unchanged = [bluez.world.advertise(sensor, services=said(1), rssi=rssi) for rssi in (-61, -64, -70)]
    assert unchanged == [False, False, True], "BlueZ tells what has changed, and no more"
    ((device, told),) = heard[:1]
    assert (device.address, told.local_name, told.rssi) == (MAC, "ATC_000001", -61)
    assert told.service_data == said(1)


async def test_a_passive_scan_hears_what_matches(bluez: FakeBlueZ, sensor: Peripheral) -> None:
    heard, other = Heard(), bluez.world.add_peripheral(Peripheral("11:22:33:44:55:66", "headphones"))
    async with BleakScanner(heard, scanning_mode="passive", bluez={"or_patterns": PATTERNS}):
        await until(lambda: any(bluez.world.adapters["hci0"].monitors.values()))
        assert not bluez.world.advertise(other, makers={0x004C: b"\x10\x05"})
        assert bluez.world.advertise(sensor, services=said(1), flags=None)
        await until(lambda: heard)
    assert "StartDiscovery" not in bluez.calls
    assert not bluez.world.adapters["hci0"].monitors


@pytest.mark.usefixtures("private_bus")
async def test_a_passive_scan_needs_an_experimental_bluetoothd() -> None:
    fake = FakeBlueZ()
    fake.world.add_adapter(passive=False)
    await fake.start()
    with pytest.raises(BleakError, match="experimental"):
        await BleakScanner(scanning_mode="passive", bluez={"or_patterns": PATTERNS}).start()
    await fake.stop()


@pytest.mark.usefixtures("private_bus")
async def test_an_adapter_that_is_not_there_or_off() -> None:
    with pytest.raises(BleakDBusError, match="ServiceUnknown"):
        await BleakScanner().start()
    fake = FakeBlueZ()
    await fake.start()
    fake.world.add_adapter(powered=False)
    await asyncio.sleep(0.1)
    with pytest.raises(BleakBluetoothNotAvailableError):
        await BleakScanner().start()
    with pytest.raises(BleakDBusError, match="NotReady"):
        await BleakScanner(bluez={"adapter": "hci0"}).start()
    await fake.stop()


async def found(bluez: FakeBlueZ, sensor: Peripheral) -> BLEDevice:
    heard = Heard()
    async with BleakScanner(heard):
        bluez.world.advertise(sensor, services=said(1))
        await until(lambda: heard)
    return heard[0][0]


async def test_a_characteristic_is_read_and_notified(bluez: FakeBlueZ, sensor: Peripheral) -> None:
    device, gone, told = await found(bluez, sensor), asyncio.Event(), asyncio.Queue[bytes]()
    (humidity,) = sensor.characteristics
    async with BleakClient(device, disconnected_callback=lambda _: gone.set()) as client:
        assert await client.read_gatt_char(HUMIDITY) == b"\x88\x13"
        await client.start_notify(HUMIDITY, lambda _, value: told.put_nowait(bytes(value)))
        async with asyncio.timeout(60):
            assert bluez.world.notify(humidity, b"\x10\x27")
            assert await told.get() == b"\x10\x27"
            bluez.world.drop(sensor)
            await gone.wait()


async def test_what_goes_wrong_on_request(bluez: FakeBlueZ, sensor: Peripheral) -> None:
    bluez.fail("StartDiscovery", Fault(Refusal("InProgress")))
    with pytest.raises(BleakDBusError, match="InProgress"):
        await BleakScanner().start()
    device = await found(bluez, sensor)
    sensor.connect_error = "le-connection-timeout"
    with pytest.raises(BleakDBusError, match="le-connection-timeout"):
        await BleakClient(device).connect()


async def test_bleak_does_not_notice_a_dead_bluetoothd(bluez: FakeBlueZ, sensor: Peripheral) -> None:
    """Why bus/ble watches by itself. If this fails, bleak has become better."""
    heard = Heard()
    scanner = BleakScanner(heard)
    await scanner.start()
    bluez.world.advertise(sensor, services=said(1))
    await until(lambda: heard)
    await bluez.crash()
    await bluez.start()
    await asyncio.sleep(0.05)
    assert not bluez.world.advertise(sensor, services=said(2)), "nobody scans, and bleak does not know"
    with pytest.raises(BleakDBusError, match="No discovery started"):
        await scanner.stop()
