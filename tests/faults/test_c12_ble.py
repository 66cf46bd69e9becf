"""C12: everything that happens to Bluetooth, in a whole agent; the serial line beside it takes no notice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.demo.bluez.air import Peripheral
from edge_agent.demo.bluez.calls import Refusal
from edge_agent.demo.bluez.daemon import FakeBlueZ, Fault
from edge_agent.demo.bluez.private_bus import PrivateBus
from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from tests.bluez import said
from tests.faults.broker import running as broker_running
from tests.faults.rig import Record
from tests.journey.programs import Program, edge_agent, one_identity_each
from tests.uplink.rig import Listener, listening

pytestmark = pytest.mark.xdist_group("faults-c12")

SENSORS = ("A4:C1:38:00:00:01", "A4:C1:38:00:00:02", "A4:C1:38:00:00:03")
WITHIN = 60  # seconds: a limit, not a measure


@dataclass
class Park:
    """A wire, the air, and what a backend hears of both. ``number`` is what the sensors say now."""

    bus: PrivateBus
    bluez: FakeBlueZ
    listener: Listener
    program: Program
    number: int = 0
    devices: list[Peripheral] = field(default_factory=list)

    def bring_sensors(self) -> None:
        self.devices = [self.bluez.world.add_peripheral(Peripheral(address)) for address in SENSORS]

    async def talk(self) -> None:
        while True:
            self.number += 1
            for device in self.devices:
                self.bluez.world.advertise(device, services=said(self.number))
            await asyncio.sleep(0.1)

    def _count(self, device: str) -> int:
        return sum(len(known) for (id_, _), known in self.listener.readings().items() if id_ == device)

    async def serial_goes_on(self) -> None:
        """Wait for three more readings of the serial device."""
        before = self._count("climate")
        await self.listener.until(lambda: self._count("climate") >= before + 3, WITHIN)

    async def all_are_heard(self) -> None:
        """Wait until every sensor was heard saying what it says from now on."""
        least = self.number + 1
        await self.listener.until(lambda: all(self._last(at) >= least for at in range(len(SENSORS))), WITHIN)

    def _last(self, at: int) -> int:
        found = [
            round(item["values"]["temperature"] * 100)
            for (id_, _), known in self.listener.readings().items()
            if id_ == f"air-{at}"
            for item in known.values()
            if "temperature" in item["values"]
        ]
        return max(found, default=0)


def _config(folder: Path, port: int, tty: Path) -> Path:
    text = f"""\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
[outbox]
path = "{folder / "outbox.db"}"
window = "100ms"
[clock]
trust = "always"
[uplink.city]
servers = ["mqtt://127.0.0.1:{port}"]
spread = "0s"
[bus.line]
port = "{tty}"
serial = "9600 8N1"
[bus.radio]
ble = "hci0"
[device.climate]
driver = "modbus"
bus = "line"
settings = {{ profile = "xy_md02", address = 2 }}
interval = "300ms"
"""
    for at, address in enumerate(SENSORS):
        text += f"""\
[device.air-{at}]
driver = "bthome"
bus = "radio"
settings = {{ address = "{address}", reports = ["temperature"] }}
interval = "1s"
"""
    file = folder / "agent.toml"
    file.write_text(text, "utf-8")
    return file


@asynccontextmanager
async def park(folder: Path, bus: PrivateBus, bluez: FakeBlueZ) -> AsyncIterator[Park]:
    climate = unit(2, profile_text("modbus", "xy_md02"), lambda: {"temperature": 21.5, "humidity": 40.0})
    with ExitStack() as stack:
        stack.enter_context(Wire(folder / "near", folder / "far", 9600))
        stack.enter_context(Slaves(folder / "far", [climate]))
        async with broker_running(folder / "broker") as broker, listening(broker.port) as listener:
            file = _config(folder, broker.port, folder / "near")
            async with edge_agent("run", "--config", str(file)) as program:
                made = Park(bus, bluez, listener, program)
                made.bring_sensors()
                talking = asyncio.create_task(made.talk())
                try:
                    yield made
                finally:
                    talking.cancel()


async def crash(here: Park) -> None:
    await here.bluez.crash()
    await here.serial_goes_on()
    await here.bluez.start()


async def restart(here: Park) -> None:
    await here.bluez.stop()
    await here.serial_goes_on()
    await here.bluez.start()


async def power(here: Park) -> None:
    here.bluez.world.set_powered(False)
    await here.serial_goes_on()
    here.bluez.world.set_powered(True)


async def unplug(here: Park) -> None:
    here.devices = []
    here.bluez.world.remove_adapter()
    await here.serial_goes_on()
    here.bluez.world.add_adapter()
    here.bring_sensors()


async def bus_restart(here: Park) -> None:
    here.bus.stop()
    await here.bluez.crash()
    await here.serial_goes_on()
    here.bus.start()
    await here.bluez.start()


async def in_progress(here: Park) -> None:
    here.bluez.fail("RegisterMonitor", Fault(Refusal("InProgress")), times=2)
    await crash(here)


async def hang(here: Park) -> None:
    here.bluez.fail("RegisterMonitor", Fault(hang=True))
    await crash(here)


async def stall(here: Park) -> None:
    here.bluez.world.stalled = True
    await asyncio.sleep(110)  # longer than the silence that is taken for right
    await here.serial_goes_on()
    here.bluez.world.stalled = False


Breaks = Callable[[Park], Awaitable[None]]
SHORT: list[Breaks] = [crash, restart, power, unplug, bus_restart, in_progress]


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(
            [*SHORT, hang, stall] * 3, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]
        ),
    ],
)
async def test_bluetooth_breaks_and_comes_back(
    private_bus: PrivateBus, bluez: FakeBlueZ, tmp_path: Path, faults: list[Breaks], record: Record
) -> None:
    async with park(tmp_path, private_bus, bluez) as here:
        await here.all_are_heard()
        for fault in faults:
            await fault(here)
            await here.all_are_heard()
        await here.serial_goes_on()
        here.program.process.terminate()
        code, _, log = await here.program.over()
        assert code == 0, log
        await here.listener.until(lambda: here.listener.of("status")[-1].payload["state"] == "stopped")
        readings = here.listener.readings()
        states = {
            said.payload["availability"] for said in here.listener.of("state") if "climate" in said.topic
        }
    lines = log.splitlines()
    restarts = [line for line in lines if "WARNING" in line and "scan restarts" in line]
    counts = {id_: len(known) for (id_, _), known in readings.items()}
    missing = sum(max(known) - len(known) for known in readings.values())
    record(
        "C12", f"{len(faults)} faults of BlueZ, beside a serial line",
        restarts=len(restarts), readings_serial=counts["climate"], missing=missing, log_lines=len(lines),
        readings_ble=sum(count for id_, count in counts.items() if id_ != "climate"),
    )  # fmt: skip
    one_identity_each(readings)
    assert missing == 0
    assert len(restarts) == len(faults), log
    assert "offline" not in states, log
    assert not [line for line in lines if "climate" in line and "online" not in line], log
    assert len(lines) <= 20 + 8 * len(faults), log
