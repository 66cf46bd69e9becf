"""The simulated park: devices that really speak the wire, on ttys paced at their real baud rates.

``python -m edge_agent.demo.park DIR`` makes the ttys, prints ``ready`` and serves until it is ended. With
``SECRETS`` after it, a folder, its BLE sensors broadcast on the system bus of its environment.
It is a process of its own, so that the devices do not share the agent's time.
"""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

from edge_agent.demo import child, on_air, radar, world
from edge_agent.demo.broken import DemoError
from edge_agent.demo.dlt645 import Meter
from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text

CABINET_BAUD = 9600
METER, CLIMATE = 1, 2  # addresses in the cabinet
FLAT_METER = "000000004194"
_READY_WITHIN = 20.0


def cabinet_tty(directory: Path) -> Path:
    """Return the name of the tty on which the meters and the climate sensor are reached."""
    return directory / "tty-cabinet-a"


def radar_tty(directory: Path) -> Path:
    """Return the name of the tty on which the radar is heard."""
    return directory / "tty-radar-1"


@asynccontextmanager
async def running(
    directory: Path, air_secrets: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the park in a process of its own, that ends at the latest with this one.

    ``air_secrets`` is the folder with the keys of its BLE sensors; without it they are silent.

    Raises:
        DemoError: it does not come up. What it says itself is on stderr.
    """
    air = [str(air_secrets)] if air_secrets else []
    process = await child.start(
        *(sys.executable, "-P", "-m", __name__, str(directory), *air), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        said = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(_READY_WITHIN):
                said = await process.stdout.readline()
        if said != b"ready\n":
            raise DemoError(f"the simulated park in {directory} does not start; its reason is printed above")
        yield process
    finally:
        await child.stop(process)


async def _serve(directory: Path, air_secrets: Path | None) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    cabinet, radar_far = directory / "far-cabinet-a", directory / "far-radar-1"
    units = [
        unit(METER, profile_text("modbus", "eastron_sdm120"), lambda: world.meter(time.time())),
        unit(CLIMATE, profile_text("modbus", "xy_md02"), lambda: world.climate(time.time())),
    ]
    flat = Meter(FLAT_METER, profile_text("dlt645", "dlt645_2007_single"), lambda: world.flat(time.time()))
    with ExitStack() as stack:
        stack.enter_context(Wire(cabinet_tty(directory), cabinet, CABINET_BAUD))
        stack.enter_context(Wire(radar_tty(directory), radar_far, radar.BAUD))
        stack.enter_context(Slaves(cabinet, units, flat.hear))
        module = stack.enter_context(radar.Module(radar_far))
        talking = [asyncio.create_task(module.watch(), name="radar")]
        if air_secrets is not None:
            bluetoothd = await on_air.start()
            talking.append(asyncio.create_task(on_air.broadcast(bluetoothd, air_secrets), name="air"))
        print("ready", flush=True)  # noqa: T201 - the caller waits for this line
        await ended.wait()
        for task in talking:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None))
