"""What a backlog costs: how fast it drains, how long live readings take beside it, memory, and starting up.

Run it with ``python -m benchmarks.backlog``. First a whole agent starts, in a process of its own, on an
outbox whose readings were never sent, with 100 live readings a second beside them and a commit window of
100 ms. Latency is from a device's ``heard`` to the PUBACK. Then an outbox alone is opened, appended to and
settled, with few and with very many readings owed.
"""

import asyncio
import gc
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import broker, gateway, measure
from benchmarks.meter import NAMES, samples
from edge_agent.clock import SystemClock
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.outbox.writer import MOST_PER_COMMIT
from edge_agent.reading import Reading
from edge_agent.uplink.interfaces import Acknowledged

DEVICES = 20
DRAINED = (0, 10_000, 100_000, 500_000)
OPENED = (10_000, 5_000_000)
LIVE_RATE = 100
WINDOW = "100ms"
_LEAST_S, _WITHIN_S = 5.0, 100.0
_APPENDED = 40_000
_ENOUGH = 100  # live readings, to speak of the slowest hundredth
_RUN = 100  # readings settled at a time


async def opened(folder: Path) -> Outbox:
    policy = Policy(window=1.0, memory=20_000, replay=604_800, max_size=10**11)
    identity, clock = Identity("east-park", "gw-01"), SystemClock("always")
    outbox = await Outbox.open(folder / "outbox.db", identity, policy, clock, ["city"])
    for number in range(DEVICES):
        body = '{"channels":{' + ",".join(f'"{name}":{{}}' for name in NAMES) + "}}"
        await outbox.enroll(f"meter-{number}", "filled00", body, NAMES)
    return outbox


async def fill(folder: Path, count: int) -> None:
    """Make an outbox whose readings are all owed."""
    outbox = await opened(folder)
    await append(outbox, count)
    await outbox.close()


async def append(outbox: Outbox, count: int) -> None:
    values = [{name: value for name, value in sample if value is not None} for sample in samples(1001)]
    devices = [f"meter-{number}" for number in range(DEVICES)]
    for number in range(count):
        outbox.keep(Reading(devices[number % DEVICES], 1_000_000 + number, values[number % 1001]))
        if outbox.waiting >= MOST_PER_COMMIT:
            await outbox.flush()
    await outbox.flush()


async def drain(folder: Path, backlog: int) -> measure.Told:
    """Be the agent that drains an outbox."""
    gateway.install_meter(folder)
    heard: dict[str, list[float]] = {f"meter-{number}": [] for number in range(DEVICES)}
    before = backlog // DEVICES
    latencies: list[float] = []
    done = asyncio.Event()
    drained_at = taken = most_rss = 0.0

    def note(acknowledged: Acknowledged) -> None:
        nonlocal drained_at, taken, most_rss
        now = time.monotonic()
        most_rss = max(most_rss, measure.rss())
        if acknowledged.first <= before:
            taken += acknowledged.last - acknowledged.first + 1
            if taken >= backlog:
                drained_at = now
                done.set()
        elif not done.is_set() or not backlog:
            live = heard[acknowledged.device][acknowledged.first - before - 1 : acknowledged.last - before]
            latencies.extend(now - at for at in live)

    async with broker.running(folder) as port:
        config = gateway.write_config(folder, port, DEVICES, outbox=f'window = "{WINDOW}"')
        began = time.monotonic()
        async with gateway.running(config, note) as (agent, source):
            connected = time.monotonic()
            if not backlog:
                asyncio.get_running_loop().call_later(_LEAST_S, done.set)
            async with asyncio.timeout(_WITHIN_S):
                while not done.is_set():
                    heard[f"meter-{source.made % DEVICES}"].append(time.monotonic())
                    source.read(1)
                    due = connected + source.made / LIVE_RATE
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
            assert agent.status().lost == 0
    latencies.sort()
    return {
        "connected": connected - began,
        "rate": backlog / (drained_at - connected) if backlog else 0,
        "p50": latencies[len(latencies) // 2] * 1000,
        "p99": latencies[len(latencies) * 99 // 100] * 1000,
        "live": len(latencies),
        "rss": most_rss,
    }


async def start(folder: Path) -> measure.Told:
    """Be the process that opens an outbox, appends to it and settles."""
    before = measure.rss()
    began = time.perf_counter()
    outbox = await opened(folder)
    seconds = time.perf_counter() - began
    delivery = outbox.deliveries["city"]
    owed = delivery.backlog
    gc.collect()
    cpu = time.process_time()
    await append(outbox, _APPENDED)
    appended = time.process_time() - cpu
    cpu = time.process_time()
    for stream in outbox.streams:
        for first in range(1, 10_000 // DEVICES, _RUN):
            delivery.settle(stream, first, first + _RUN - 1)
    await append(outbox, 1)
    settled = time.process_time() - cpu
    assert owed - delivery.backlog == 10_000 - _APPENDED - 1, (owed, delivery.backlog)
    most = measure.rss()
    await outbox.close()
    return {
        "open": seconds * 1000,
        "append": appended / _APPENDED * 1e6,
        "settle": settled / 10_000 * 1e6,
        "rss": most,
        "grown": most - before,
    }


def filled(count: int) -> Path:
    """Make a folder with an outbox that owes so many readings."""
    folder = Path(tempfile.mkdtemp(dir=measure.FOLDER))
    if count:
        asyncio.run(fill(folder, count))
    return folder


def main() -> None:
    table = measure.Table(
        "backlog", "drained, readings/s", "live p50, ms", "live p99, ms", "live readings", "RSS at most, MB"
    )
    for count in DRAINED:
        folder = filled(count)
        try:
            one = measure.ask("benchmarks.backlog", "drain", folder, count)
        finally:
            shutil.rmtree(folder)
        rate = f"{one['rate']:,.0f}" if count else "-"
        p99 = f"{one['p99']:.0f}" if one["live"] >= _ENOUGH else "-"
        table.row(f"{count:,}", rate, f"{one['p50']:.0f}", p99, one["live"], f"{one['rss']:.1f}")
    print()
    table = measure.Table(
        "readings owed", "open, ms", "append, us CPU", "settle, us CPU", "RSS, MB", "of it grown, MB"
    )
    for count in OPENED:
        folder = filled(count)
        try:
            one = measure.ask("benchmarks.backlog", "start", folder, count)
        finally:
            shutil.rmtree(folder)
        table.row(
            f"{count:,}", f"{one['open']:.1f}", f"{one['append']:.2f}", f"{one['settle']:.2f}",
            f"{one['rss']:.1f}", f"{one['grown']:.1f}",
        )  # fmt: skip


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["drain", folder, count]:
            measure.tell(asyncio.run(drain(Path(folder), int(count))))
        case ["start", folder, _]:
            measure.tell(asyncio.run(start(Path(folder))))
        case _:
            main()
