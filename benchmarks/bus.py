"""How much of an RS-485 line's time is used, and what an exchange costs the gateway.

Run it with ``python -m benchmarks.bus``. Twenty Modbus units, in a process of their own behind a wire that
takes its time, are polled flat out over a real tty. An exchange cannot take less than the protocol's times:
the request, the unit's thinking, the answer, and 3.5 characters of quiet.
"""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from benchmarks import measure
from edge_agent.bus.line import QUIET_CHARACTERS, SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import SerialFormat
from edge_agent.demo import child
from edge_agent.demo.slave import Slaves, Unit
from edge_agent.demo.wire import Wire
from edge_agent.driver import Read

_UNITS = 20
_THINKS_S = 0.01
_WARM_S, _MEASURE_S = 1.0, 10.0
_REQUEST = 8  # bytes
_AROUND_DATA = 5
_COUNT = 10  # registers of a block
_PROFILE = {
    "channels": [
        {"name": f"c{at}", "table": "input", "at": at, "type": "u16", "scale": 1} for at in range(125)
    ]
}


async def serve(folder: Path, baud: int) -> None:
    """Be the wire and the units, until ended."""
    units = [Unit(address, _PROFILE, dict, (_THINKS_S, _THINKS_S)) for address in range(1, _UNITS + 1)]
    with ExitStack() as stack:
        stack.enter_context(Wire(folder / "near", folder / "far", baud))
        stack.enter_context(Slaves(folder / "far", units))
        print("ready", flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def served(folder: Path, baud: int) -> AsyncIterator[None]:
    """Run the units in a process of their own."""
    process = await child.start(
        *(sys.executable, "-m", "benchmarks.bus", "serve", str(folder), str(baud)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        await child.stop(process)


async def polled(folder: Path, baud: int, gap: float, count: int) -> measure.Told:
    """Poll all units for a while."""
    line = SerialLine(str(folder / "near"), SerialFormat(baud), gap=gap)

    async def flat_out(unit: int) -> None:
        registers = Rtu(line.place())
        while True:
            await registers.read(Read(unit, "input", 0, count))

    async with served(folder, baud):
        running = [asyncio.create_task(flat_out(unit)) for unit in range(1, _UNITS + 1)]
        await asyncio.sleep(_WARM_S)
        exchanges, began, cpu = line.exchanges, time.perf_counter(), time.process_time()
        woken = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        await asyncio.sleep(_MEASURE_S)
        done = line.exchanges - exchanges
        told = {
            "exchanges": done / (time.perf_counter() - began),
            "cpu": (time.process_time() - cpu) / done,
            "woken": (resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - woken) / done,
            "failed": line.failures.total(),
        }
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await line.close()
    return told


def least(baud: int, count: int) -> float:
    """Return the seconds that an exchange takes at least."""
    form = SerialFormat(baud)
    return form.seconds(_REQUEST + _AROUND_DATA + 2 * count + QUIET_CHARACTERS) + _THINKS_S


def main() -> None:
    table = measure.Table(
        "baud", "registers", "gap, ms", "exchanges/s", "of the protocol, %",
        "CPU an exchange, ms", "wake-ups an exchange", "failures",
    )  # fmt: skip
    for baud, count, gap in [
        (9600, _COUNT, 0.0),
        (9600, 125, 0.0),
        (9600, _COUNT, 0.02),
        (115_200, _COUNT, 0.0),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            told = asyncio.run(polled(Path(folder), baud, gap, count))
        table.row(
            f"{baud:,}", count, f"{1000 * gap:g}", f"{told['exchanges']:.1f}",
            f"{100 * told['exchanges'] * least(baud, count):.1f}",
            f"{1000 * told['cpu']:.2f}", f"{told['woken']:.1f}", told["failed"],
        )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
