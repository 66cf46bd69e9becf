"""How many BLE advertisements an agent takes, and what each costs beside a bare callback of bleak.

Run it with ``python -m benchmarks.ble``. A fake bluetoothd, in a process of its own on a private bus, floods
the bus with advertisements of 50 BTHome sensors, each with a new value. A whole agent decodes, judges and
keeps every one (``synchronous=FULL``); the floor is bleak alone, which counts them.
"""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs, OrPattern
from bleak.assigned_numbers import AdvertisementDataType

from benchmarks import measure
from edge_agent.agent.agent import Agent
from edge_agent.demo import child
from edge_agent.demo.beacons import bthome, climate_objects
from edge_agent.demo.bluez.air import Peripheral
from edge_agent.demo.bluez.daemon import FakeBlueZ
from edge_agent.demo.bluez.private_bus import PrivateBus
from edge_agent.settings.load import load

_SENSORS, _ADVERTS = 50, 20_000
_AT_ONCE = 50  # adverts before the flood waits for the bus
_WITHIN_S = 60
_HEAD = """\
config = 1
gateway = {{ site = "bench", id = "gw" }}
outbox = {{ path = "{folder}/outbox.db", memory = "100000 readings" }}
clock = {{ trust = "always" }}
uplink.none = {{ servers = ["mqtt://127.0.0.1:1"] }}
bus.radio = {{ ble = "hci0" }}
"""
_SENSOR = """
[device.s{number}]
driver = "bthome"
bus = "radio"
settings = {{ address = "{address}", reports = ["temperature", "humidity", "battery"] }}
channel.temperature.report = {{ change = 0.001 }}
"""


def _address(number: int) -> str:
    return f"A4:C1:38:00:00:{number:02X}"


async def flood() -> None:
    """Be the sensors: at SIGUSR1, send all advertisements once."""
    begin = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, begin.set)
    fake = FakeBlueZ()
    fake.world.add_adapter()
    await fake.start()
    sensors = [fake.world.add_peripheral(Peripheral(_address(number))) for number in range(_SENSORS)]
    print("ready", flush=True)
    await begin.wait()
    for number in range(_ADVERTS):
        round_ = number // _SENSORS
        objects = climate_objects(round_, {"temperature": round_ / 50, "humidity": 50.0})
        fake.world.advertise(sensors[number % _SENSORS], services=bthome(objects), flags=None)
        if number % _AT_ONCE == 0:
            await fake.world.wire.drained()
            await asyncio.sleep(0)
    await asyncio.Event().wait()


@asynccontextmanager
async def _air() -> AsyncIterator[Callable[[], None]]:
    process = await child.start(
        *(sys.executable, "-m", "benchmarks.ble", "flood"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"ready\n"
        yield lambda: process.send_signal(signal.SIGUSR1)
    finally:
        await child.stop(process)


async def _timed(begin: Callable[[], None], count: Callable[[], int]) -> measure.Told:
    began, cpu = time.perf_counter(), time.process_time()
    begin()
    async with asyncio.timeout(_WITHIN_S):
        while count() < _ADVERTS:  # noqa: ASYNC110 - its cost is in both, and small
            await asyncio.sleep(0.01)
    took = time.perf_counter() - began
    return {"rate": _ADVERTS / took, "cpu": (time.process_time() - cpu) / _ADVERTS}


async def _bare(begin: Callable[[], None], _folder: Path) -> measure.Told:
    heard = 0

    def hear(_device: object, _said: object) -> None:
        nonlocal heard
        heard += 1

    pattern = OrPattern(0, AdvertisementDataType.SERVICE_DATA_UUID16, b"\xd2\xfc")
    options = BlueZScannerArgs(adapter="hci0", or_patterns=[pattern])
    async with BleakScanner(hear, scanning_mode="passive", bluez=options):
        await asyncio.sleep(0.5)
        return await _timed(begin, lambda: heard)


async def _whole(begin: Callable[[], None], folder: Path) -> measure.Told:
    sensors = (_SENSOR.format(number=number, address=_address(number)) for number in range(_SENSORS))
    file = folder / "agent.toml"
    file.write_text(_HEAD.format(folder=folder) + "".join(sensors), "utf-8")
    ready = asyncio.Event()
    agent = Agent(load(file), on_ready=ready.set)
    running = asyncio.create_task(agent.run())
    await ready.wait()
    await asyncio.sleep(1)
    told = await _timed(begin, lambda: agent.status().kept)
    told["kept"] = agent.status().kept
    agent.stop()
    await running
    return told


async def _case(case: Callable[[Callable[[], None], Path], Awaitable[measure.Told]]) -> measure.Told:
    with (
        tempfile.TemporaryDirectory(dir=measure.FOLDER) as folder,
        tempfile.TemporaryDirectory() as bus,
        PrivateBus(Path(bus)),
    ):
        async with _air() as begin:
            return await case(begin, Path(folder))


def main() -> None:
    whole = measure.best("benchmarks.ble", "whole", by=lambda told: told["rate"])
    bare = measure.best("benchmarks.ble", "bare", by=lambda told: told["rate"])
    table = measure.Table("", "adverts/s", "us CPU an advert", "times bleak alone", "kept of 20,000")
    table.row("bleak alone", f"{bare['rate']:,.0f}", f"{bare['cpu'] * 1e6:.0f}", "1.0", "-")
    times = whole["cpu"] / bare["cpu"]
    table.row(
        "the agent",
        f"{whole['rate']:,.0f}",
        f"{whole['cpu'] * 1e6:.0f}",
        f"{times:.2f}",
        f"{whole['kept']:,}",
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["flood"]:
            asyncio.run(flood())
        case ["bare"]:
            measure.tell(asyncio.run(_case(_bare)))
        case ["whole"]:
            measure.tell(asyncio.run(_case(_whole)))
        case _:
            main()
