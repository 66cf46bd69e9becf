"""What a reading costs from its samples to the broker's PUBACK, beside what any design must pay.

Run it with ``python -m benchmarks.pipeline``. Each case runs a whole agent in a process of its own: devices
that hear samples of 5 values, processing (bounds of every channel), the outbox (synchronous=FULL), and one or
two uplinks to a mosquitto on loopback. The source keeps the agent busy, and no more than ``_AHEAD`` readings
wait to be acknowledged. Then, in the same process, the floor: executemany of as many rows, orjson of the same
payloads, and raw paho publishing of the same bytes with 20 messages on their way. CPU is that of the process.
"""

import asyncio
import gc
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks import broker, floor, gateway, measure
from benchmarks.meter import samples
from edge_agent.row import Row
from edge_agent.uplink.interfaces import Acknowledged

UPLINKS = ("city", "park")
CASES = [(devices, uplinks) for uplinks in (1, 2) for devices in (1, 20, 200)]
_AHEAD = 12_000
_AT_ONCE = 100  # readings between two turns of the event loop
_WARM_S, _MEASURE_S = 1.0, 3.0
_STUCK_S = 10.0
_SAMPLE = 200_000  # readings whose payloads the floor is measured with


class Acks:
    """What the broker has taken, by uplink."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.news = asyncio.Event()
        self.payloads: list[bytes] = []
        self.messages = self.readings = 0

    def note(self, acknowledged: Acknowledged) -> None:
        readings = acknowledged.last - acknowledged.first + 1
        self.taken[acknowledged.uplink] += readings
        self.messages += 1
        if self.readings < _SAMPLE:
            self.payloads.append(acknowledged.payload)
            self.readings += readings
        self.news.set()

    def least(self, uplinks: tuple[str, ...]) -> int:
        return min(self.taken[name] for name in uplinks)


async def case(folder: Path, devices: int, uplinks: tuple[str, ...]) -> dict[str, float]:
    gateway.install_meter(folder)
    async with broker.running(folder) as port:
        config = gateway.write_config(folder, port, devices, uplinks=uplinks)
        acks = Acks()
        async with gateway.running(config, acks.note) as (agent, source):
            gc.collect()

            async def feed(seconds: float) -> None:
                until = time.perf_counter() + seconds
                while time.perf_counter() < until:
                    source.read(_AT_ONCE)
                    while source.made - acks.least(uplinks) > _AHEAD:
                        acks.news.clear()
                        async with asyncio.timeout(_STUCK_S):
                            await acks.news.wait()
                    await asyncio.sleep(0)

            await feed(_WARM_S)
            acks.payloads.clear()
            acks.messages = acks.readings = 0
            before, cpu, began = acks.least(uplinks), time.process_time(), time.perf_counter()
            await feed(_MEASURE_S)
            cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
            readings, messages = acks.least(uplinks) - before, acks.messages
            while acks.least(uplinks) < source.made:
                acks.news.clear()
                async with asyncio.timeout(_STUCK_S):
                    await acks.news.wait()
            now = agent.status()
            assert (now.kept, now.lost) == (source.made, 0), now
        least = floor_of(folder, port, acks, devices, len(uplinks))
    return {
        "devices": devices,
        "uplinks": len(uplinks),
        "rate": readings / seconds,
        "cpu": cpu / readings * 1e6,
        "cores": cpu / seconds,
        "per_message": readings * len(uplinks) / messages,
        **{f"floor_{name}": spent * 1e6 for name, spent in least.items()},
        "floor": sum(least.values()) * 1e6,
        "ratio": cpu / readings / sum(least.values()),
        "live": sum(b'"lane":"live"' in payload for payload in acks.payloads) / len(acks.payloads),
    }


def floor_of(folder: Path, port: int, acks: Acks, devices: int, uplinks: int) -> dict[str, float]:
    """Return the seconds of CPU for each reading, by what they are spent on."""
    bodies = [[value for _, value in sample] for sample in samples(1001)]
    rows = [
        (Row(n, n % devices, n // devices, 1, 1_000_000 + n, n % devices, b""), list(bodies[n % 1001]))
        for n in range(_SAMPLE)
    ]
    gc.collect()
    return {
        "rows": floor.written(folder / "floor.db", rows) / len(rows),
        "encode": uplinks * floor.encoded(acks.payloads) / acks.readings,
        "publish": uplinks * floor.published(port, acks.payloads) / acks.readings,
    }


def main() -> None:
    if len(sys.argv) == 3:
        devices, uplinks = map(int, sys.argv[1:])
        with tempfile.TemporaryDirectory(dir=measure.FOLDER) as folder:
            measure.tell(asyncio.run(case(Path(folder), devices, UPLINKS[:uplinks])))
        return
    table = measure.Table(
        "devices", "uplinks", "readings/s", "cores", "us CPU", "floor", "rows + encode + publish", "ratio",
        "readings/message",
    )  # fmt: skip
    for devices, uplinks in CASES:
        best = measure.best(__spec__.name, devices, uplinks, by=lambda told: told["rate"])
        assert best["live"] == 1, "live readings went by way of the log"
        parts = " + ".join(f"{best[f'floor_{part}']:.2f}" for part in ("rows", "encode", "publish"))
        table.row(
            devices, uplinks, f"{best['rate']:,.0f}", f"{best['cores']:.2f}", f"{best['cpu']:.2f}",
            f"{best['floor']:.2f}", parts, f"{best['ratio']:.2f}", f"{best['per_message']:.0f}",
        )  # fmt: skip


if __name__ == "__main__":
    main()
