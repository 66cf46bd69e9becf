"""docs/contract.md is true: its table and payloads are the contract's, its consumers keep each reading."""

import asyncio
import json
import os
import re
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import psycopg
import pytest

from edge_agent.contract.commands import COMMANDS
from edge_agent.contract.examples import EXAMPLES
from edge_agent.contract.messages import ReplyMessage
from edge_agent.contract.topics import TOPICS
from tests.consume.publishing import publish
from tests.contract.told import NOW, data, topic
from tests.examples import postgres
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.peers.npm import HERE, node
from tests.uplink.rig import DEVICES, running, settings

TEXT = (Path(__file__).parents[2] / "docs" / "contract.md").read_text("utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
_EXPIRES = {None: "never", 60: "60 s", 300: "300 s", 30 * 86_400: "30 d"}


def _blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


def test_the_table_is_the_contracts() -> None:
    rows = [line for line in TEXT.partition("## Payloads")[0].splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{each.path}` | {each.says} | {each.qos} | {'yes' if each.retain else 'no'} |"
        f" {_EXPIRES[each.expiry_s]} |"
        for each in TOPICS
    ]


def test_all_commands_and_what_becomes_of_them_are_told() -> None:
    _, _, commands = TEXT.partition("## Commands")
    statuses = get_args(ReplyMessage.model_fields["status"].annotation)
    assert set(re.findall(r"^\| `([a-z-]+)` \|", commands, re.MULTILINE)) == {*COMMANDS, *statuses}
    for name, args in COMMANDS.items():
        (row,) = re.findall(rf"^\| `{name}` \|([^|]*)\|", commands, re.MULTILINE)
        assert set(re.findall(r"`([a-z_]+)`", row)) == set(args.model_fields)


def test_there_is_a_payload_of_each_topic_and_all_are_examples() -> None:
    named = re.findall(r"^`(\w+)`:\n\n```json", TEXT, re.MULTILINE)
    assert named == [each.name for each in TOPICS]
    for name, text in zip(named, _blocks("json"), strict=True):
        assert json.loads(text) in EXAMPLES[name].values()


@dataclass
class Consumer:
    """One of the page's consumers: how it is started, and what is in its table."""

    command: tuple[str, ...]
    sqlite: Path | None = None
    postgres: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, int, int, bool, float]]:
        """Return device, seq, ts, whether that is true, and the value."""
        if self.sqlite is not None:
            asked = "SELECT device, seq, ts, true_time, \"values\" ->> 'power' FROM reading"
            with closing(sqlite3.connect(self.sqlite)) as db:
                made = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'reading'").fetchone()
                found = db.execute(asked).fetchall() if made else []
        else:
            asked = "SELECT device, seq, ts, true_time, \"values\" ->> 'power' FROM reading"
            with psycopg.connect(self.postgres) as connection:
                try:
                    found = connection.execute(asked.encode()).fetchall()
                except psycopg.errors.UndefinedTable:
                    found = []
        return sorted((row[0], int(row[1]), int(row[2]), bool(row[3]), float(row[4])) for row in found)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker", extra=["log_type all"]) as served:
        yield served


@pytest.fixture(params=["python", "js"])
def consumer(request: pytest.FixtureRequest, broker: Broker, tmp_path: Path) -> Iterator[Consumer]:
    (code,) = _blocks(request.param)
    assert code.count("1883") == 1
    code = code.replace("1883", str(broker.port))
    if request.param == "python":
        file = tmp_path / "readings.db"
        assert '"readings.db"' in code
        yield Consumer((sys.executable, "-c", code.replace('"readings.db"', repr(str(file)))), file)
        return
    script = tmp_path / "consumer.js"
    script.write_text(code, "utf-8")
    program = node()
    with postgres.running() as named:
        said = dict(pair.split("=", 1) for pair in named.split())
        places = {"PGHOST": said["host"], "PGUSER": said["user"], "PGDATABASE": said["dbname"]}
        environment = {"NODE_PATH": str(HERE / "node_modules")} | places
        yield Consumer((program, str(script)), None, named, environment)


@asynccontextmanager
async def _consuming(consumer: Consumer, broker: Broker, subscriptions: int) -> AsyncIterator[None]:
    """Run it; it has subscribed by then as often as is said. It is killed."""
    process = await asyncio.create_subprocess_exec(
        *consumer.command, env={**os.environ, **consumer.environment}
    )
    try:
        await broker.subscribed("ingest-", subscriptions)
        yield
        assert process.returncode is None, "it ended by itself"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _kept(consumer: Consumer, count: int) -> None:
    async with asyncio.timeout(60):
        while len(consumer.rows()) != count:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.1)


async def test_a_consumer_keeps_what_an_agent_sends_though_it_is_killed(
    consumer: Consumer, broker: Broker, tmp_path: Path
) -> None:
    async with running(tmp_path, settings(broker.port)) as rig:
        async with _consuming(consumer, broker, 1):
            for _ in range(20):
                rig.keep(10)
                await asyncio.sleep(0.01)
            await _kept_some(consumer)
        rig.keep(100, DEVICES[1])
        await rig.drained()
        async with _consuming(consumer, broker, 2):
            await _kept(consumer, 300)
    meter, room = DEVICES
    assert [row[:2] + row[4:] for row in consumer.rows()] == [
        *((meter, seq, float(seq)) for seq in range(1, 201)),
        *((room, seq, float(seq + 200)) for seq in range(1, 101)),
    ]


async def _kept_some(consumer: Consumer) -> None:
    async with asyncio.timeout(60):
        while not consumer.rows():  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.05)


async def test_a_consumer_replaces_a_time_that_was_not_known_and_no_other(
    consumer: Consumer, broker: Broker
) -> None:
    guess, true = data([1], 0, "unsynchronised"), data([1], 0, "repaired", lane="history")
    other = data([1, 2], 0).replace(str(NOW + 1).encode(), b"5000")
    async with _consuming(consumer, broker, 1):
        publish(broker.port, [(topic("data"), guess.replace(str(NOW + 1).encode(), b"1000"))])
        await _kept(consumer, 1)
        assert consumer.rows() == [("meter-7", 1, 1000, False, 1.0)]
        publish(broker.port, [(topic("history"), true), (topic("data"), guess), (topic("data"), other)])
        await _kept(consumer, 2)
    assert consumer.rows() == [("meter-7", 1, NOW + 1, True, 1.0), ("meter-7", 2, NOW + 2, True, 2.0)]
