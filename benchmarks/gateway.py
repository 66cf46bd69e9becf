"""A whole agent in this process, as its configuration builds it. Only the line is missing.

A serial line carries a few readings a second, so ``tasks.ask`` is replaced: what comes after a device's
samples, from ``Device.heard`` on, is the program's own.
"""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.meter import samples
from edge_agent.agent.agent import Agent
from edge_agent.clock import Clock
from edge_agent.collect import tasks
from edge_agent.collect.device import Device
from edge_agent.settings.load import load
from edge_agent.uplink.interfaces import Acknowledged

_STOP_WITHIN_S = 20.0
_READY_WITHIN_S = 60.0
_TICK_S = 0.01
_SAMPLES = samples(1001)  # no multiple of a number of devices


def install_meter(folder: Path) -> None:
    """Bring the benchmarks' driver in by the front door: an installed package with an entry point."""
    package = folder / "site" / "benchmarks_meter-1.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: benchmarks-meter\nVersion: 1\n", "ascii")
    points = "[edge_agent.drivers]\nbenchmark = benchmarks.meter:driver\n"
    (package / "entry_points.txt").write_text(points, "ascii")
    sys.path.append(str(package.parent))


def write_config(  # noqa: PLR0913 - each is a line of the file
    folder: Path,
    port: int,
    devices: int,
    *,
    uplinks: Iterable[str] = ("city",),
    outbox: str = "",
    interval: str = "10s",
) -> Path:
    """Write an agent.toml: defaults but for what is given. ``outbox`` adds lines to that table."""
    text = f"""\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
[outbox]
path = "{folder / "outbox.db"}"
{outbox}
[clock]
trust = "always"
[bus.line]
port = "/dev/null"
serial = "9600 8N1"
"""
    for name in uplinks:
        text += f"""\
[uplink.{name}]
servers = ["mqtt://127.0.0.1:{port}"]
root = "{name}/v1"
protocol = "5"
spread = "0s"
"""
    for number in range(devices):
        text += f"""\
[device.meter-{number}]
driver = "benchmark"
bus = "line"
interval = "{interval}"
"""
    file = folder / "agent.toml"
    file.write_text(text, "utf-8")
    return file


class Source:
    """Stands in for the line: it has the devices, and lets them hear as fast as it is told."""

    def __init__(self) -> None:
        self._devices: list[Device] = []
        self.made = 0
        tasks.ask = self._ask  # type: ignore[assignment]  # see above

    async def _ask(self, device: Device, *_line: object) -> None:
        self._devices.append(device)
        await asyncio.Event().wait()

    def read(self, readings: int) -> None:
        """Let so many readings be made, the devices in turn."""
        devices, ways = self._devices, _SAMPLES
        for number in range(self.made, self.made + readings):
            devices[number % len(devices)].heard(ways[number % len(ways)])
        self.made += readings

    async def pace(self, rate: float, seconds: float) -> None:
        """Read so many times a second, evenly, for so long."""
        began = time.monotonic()
        read = 0
        while (now := time.monotonic() - began) < seconds:
            due = int(now * rate) + 1 - read
            self.read(due)
            read += due
            await asyncio.sleep(max(_TICK_S, began + read / rate - time.monotonic()))


@asynccontextmanager
async def running(
    config: Path,
    on_acknowledged: Callable[[Acknowledged], None] | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[tuple[Agent, Source]]:
    """Run an agent with a configuration, until all its uplinks are connected and then as long as wanted."""
    source, loaded = Source(), load(config)
    gc.collect()
    gc.freeze()  # as the service does
    agent = Agent(loaded, clock=clock, on_acknowledged=on_acknowledged)
    task = asyncio.create_task(agent.run(), name="agent")
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            while not (up := agent.status().uplinks) or not all(one.connected for one in up):
                if task.done():
                    break
                await asyncio.sleep(0.02)
        yield agent, source
    finally:
        agent.stop()
        async with asyncio.timeout(_STOP_WITHIN_S):
            await task
