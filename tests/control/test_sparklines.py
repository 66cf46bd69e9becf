"""The last hour of each device is there after a restart, too: read from the outbox, once."""

import asyncio
import time
from pathlib import Path

from edge_agent.control.client import ask
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity
from edge_agent.reading import Reading
from tests.cli.running import config, running, sensor
from tests.outbox.world import FakeClock, policy

MINUTE_MS = 60_000
META = '{"channels":{"temperature":{"unit":"Cel"},"humidity":{"unit":"%"}}}'


async def half_an_hour(file: Path) -> None:
    """Keep what the sensor read before, each half minute, the last ten minutes ago."""
    clock = FakeClock("boot-before", 0, round(time.time() * 1000) - 40 * MINUTE_MS)
    outbox = await Outbox.open(file, Identity("east-park", "gw-01"), policy(), clock, ["city"])
    try:
        await outbox.enroll("air", "before", META, ("temperature", "humidity"))
        for number in range(60):
            clock.wait(MINUTE_MS // 2)
            outbox.keep(Reading("air", clock.mono, {"temperature": float(number), "humidity": 50.0}, {}))
        await outbox.flush()
    finally:
        await outbox.close()


async def test_what_was_read_before_a_restart_is_there_soon(tmp_path: Path) -> None:
    await half_an_hour(tmp_path / "outbox.db")
    async with sensor(tmp_path) as tty, running(config(tmp_path, tty)) as place:
        async with asyncio.timeout(60):
            while True:
                told = await ask("hour", at=place)
                points = [point for point in told["devices"]["air"]["points"][:-8] if point]
                if points and not told["filling"]:
                    break
                await asyncio.sleep(0.05)
        assert 28 <= len(points) <= 31
        assert points[1][1] - points[1][0] == 1.0, "two readings each minute"
        assert points == sorted(points)
        assert points[-1][1] == 59.0
