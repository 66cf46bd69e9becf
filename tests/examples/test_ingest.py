"""The example that writes into PostgreSQL: two instances, killed and started again at random."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.consume.publishing import publish
from tests.contract.told import NOW, data, loss, topic
from tests.examples import postgres
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.faults.proxy import Proxy
from tests.uplink.rig import DEVICES, Rig, running, settings

INGEST = Path(__file__).parents[2] / "examples" / "ingest" / "ingest.py"
_LIVE, _BACKLOG, _KILLS = 2_000, 20_000, 8


@pytest.fixture
def database() -> Iterator[str]:
    with postgres.running() as named:
        yield named


class Instance:
    """One ``ingest.py``, which is killed and started again."""

    def __init__(self, name: str, port: int, database: str) -> None:
        self._words = (name, "--broker", f"127.0.0.1:{port}", "--database", database)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(sys.executable, str(INGEST), *self._words)

    async def kill(self) -> None:
        assert self._process is not None
        assert self._process.returncode is None, "it ended by itself"
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def _two(port: int, database: str) -> AsyncIterator[list[Instance]]:
    both = [Instance(name, port, database) for name in ("ingest-1", "ingest-2")]
    for one in both:
        await one.start()
    try:
        yield both
    finally:
        for one in both:
            await one.kill()


def _asked(database: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query.encode()).fetchall()


async def _until(database: str, query: str, holds: Callable[[list[tuple[Any, ...]]], bool]) -> None:
    found: object = None
    try:
        async with asyncio.timeout(60):
            while True:
                await asyncio.sleep(0.1)
                try:
                    found = _asked(database, query)
                except psycopg.errors.UndefinedTable:
                    continue
                if holds(found):
                    return
    except TimeoutError:
        raise AssertionError(f"{query}: {found}") from None


async def _shared(broker: Broker, count: int) -> None:
    """Wait until there were so many subscriptions: the broker's log tells, nothing else does."""
    async with asyncio.timeout(60):
        while broker.log.read_text("utf-8", "replace").count("Sending SUBACK to ingest-") < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker", extra=["log_type all"]) as served:
        yield served


async def _killing(both: list[Instance], chance: random.Random) -> None:
    for _ in range(_KILLS):
        await asyncio.sleep(chance.uniform(0.1, 0.6))
        one = chance.choice(both)
        await one.kill()
        await asyncio.sleep(chance.uniform(0, 0.3))
        await one.start()


async def _backlog(rig: Rig) -> None:
    for _ in range(4):
        rig.keep(_BACKLOG // 4)
        await rig.until(lambda: not rig.outbox.waiting)


async def test_every_reading_is_there_once_whatever_is_killed(
    broker: Broker, database: str, tmp_path: Path
) -> None:
    async with Proxy(broker.port) as link, _two(broker.port, database) as both:
        await _shared(broker, 2)
        async with running(tmp_path, settings(link.port, max_packet="2KB")) as rig:
            await rig.connected()
            kills = asyncio.create_task(_killing(both, random.Random(20261122)))
            for number in range(_LIVE // 20):
                rig.keep(20, DEVICES[number % 2])
                await asyncio.sleep(0.02)
            await link.refuse()
            await _backlog(rig)
            await link.listen()
            await rig.drained()
            await kills
            for device in DEVICES:
                rig.keep(1, device)  # whose message says what is settled
            await rig.drained()
            total = _LIVE + _BACKLOG + 2
            await _until(database, "SELECT count(*) FROM reading", lambda rows: rows == [(total,)])
            await _until(database, "SELECT * FROM gap", lambda rows: not rows)
    said = """SELECT device, min(seq), max(seq), count(*), count(DISTINCT "values"->'power') FROM reading
              GROUP BY device ORDER BY device"""
    meter, room = _LIVE // 2 + _BACKLOG + 1, _LIVE // 2 + 1
    assert _asked(database, said) == [("meter-7", 1, meter, meter, meter), ("room-2", 1, room, room, room)]
    assert _asked(database, "SELECT count(*) FROM stream") == [(2,)]


async def test_what_a_restarted_broker_hands_to_nobody_is_in_the_view(
    broker: Broker, database: str, tmp_path: Path
) -> None:
    """mosquitto 2.0 keeps the sessions over a restart, but not their shared subscriptions."""
    async with _two(broker.port, database):
        await _shared(broker, 2)
        async with running(tmp_path, settings(broker.port, max_packet="2KB")) as rig:
            rig.keep(1)
            await _until(database, "SELECT since FROM stream", lambda rows: rows == [(0,)])
            await broker.stop()
            await _backlog(rig)
            await broker.start()
            await rig.drained()
            await _shared(broker, 4)
            rig.keep(1)
            await rig.drained()
            await _until(database, "SELECT settled FROM stream", lambda rows: rows == [(_BACKLOG + 1,)])
            missing = "SELECT coalesce(sum(upper(missing) - lower(missing)), 0) FROM gap"
            both = f"SELECT (SELECT count(*) FROM reading) + ({missing})"
            await _until(database, both, lambda rows: rows == [(_BACKLOG + 2,)])


async def test_gaps_losses_and_times_are_judged_in_the_database(broker: Broker, database: str) -> None:
    repaired = data([13], 12, "repaired", lane="history").replace(str(NOW + 13).encode(), b"5000")
    messages = [
        (topic("data"), data([11, 12], 10)),
        (topic("data"), b"{}"),
        (topic("data"), data([13], 12, "unsynchronised")),
        (topic("history"), repaired),
        (topic("data"), data([13], 12, "unsynchronised")),
        (topic("loss"), loss(14, 16)),
        (topic("data"), data([20], 19)),
        (topic("loss"), loss(21, None, seq=2)),
        (topic("data"), data([19], 30)),
    ]  # fmt: skip
    one = Instance("ingest-1", broker.port, database)
    await one.start()
    await _shared(broker, 1)
    publish(broker.port, messages)
    await _until(database, "SELECT settled FROM stream", lambda rows: rows == [(30,)])
    await one.kill()
    assert _asked(database, "SELECT lower(missing), upper(missing) - 1 FROM gap") == [(17, 18)]
    kept = "SELECT true_time, extract(epoch FROM measured_at)::int FROM reading WHERE seq = 13"
    assert _asked(database, kept) == [(True, 5)]
