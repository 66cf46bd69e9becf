"""Who listens behind a broker: MQTT.js, in a process of its own, and our own library, in this one."""

import asyncio
import json
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge_agent.consume.subscriber import Login, Subscriber
from edge_agent.contract.follow import Follower
from edge_agent.demo import child
from edge_agent.settings.field_types import Server
from tests.peers.npm import node

_SCRIPT = Path(__file__).with_name("consumer.js")
Key = tuple[str, str]  # device, epoch


class Consumer:
    """Follows what MQTT.js gets. ``heard`` has the numbers by device and epoch."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.follower = Follower(from_start=True)
        self.heard: dict[Key, set[int]] = defaultdict(set)
        self.again = self.subscribed = 0
        self.answers: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self._process = process
        self._news = asyncio.Condition()

    async def read(self) -> None:
        """Take what the process prints, to its end."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            async with self._news:
                if "subscribed" in said:
                    assert not said["subscribed"], said
                    self.subscribed += 1
                else:
                    self._take(said["topic"], said["payload"].encode())
                self._news.notify_all()

    def _take(self, topic: str, payload: bytes) -> None:
        kind = topic.split("/")[4]
        if kind == "reply":
            self.answers.append(json.loads(payload))
        if kind in {"reply", "cmd"}:
            return
        heard = self.follower.hear(topic, payload, time.time_ns() // 1_000_000)
        if heard.refused:
            self.refused.append(heard.refused)
        if kind in {"data", "history"}:
            said = json.loads(payload)
            self.heard[said["device"], said["epoch"]] |= {item["seq"] for item in said["readings"]}
            self.again += heard.again

    @property
    def count(self) -> int:
        """How many readings came, each counted once."""
        return sum(map(len, self.heard.values()))

    async def until(self, holds: Callable[[], object], within: float) -> None:
        """Wait until something holds of what was heard."""
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(holds)

    async def ask(self, base: str, key: Key, seqs: set[int]) -> None:
        """Ask the gateway whose topics begin with ``base`` for readings again, in one coarse range."""
        command = {
            "schema": "park.cmd/1",
            "id": uuid.uuid4().hex,
            "name": "replay",
            "args": {"device": key[0], "epoch": key[1], "from_seq": min(seqs), "to_seq": max(seqs)},
            "deadline": time.time_ns() // 1_000_000 + 60_000,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(f"{base}/cmd/replay {json.dumps(command)}\n".encode())
        await self._process.stdin.drain()


@asynccontextmanager
async def mqtt_js(port: int, level: str, user: str) -> AsyncIterator[Consumer]:
    """Run MQTT.js on a broker; its session outlives its connections."""
    process = await asyncio.create_subprocess_exec(
        *child.dying(node(), str(_SCRIPT), f"mqtt://127.0.0.1:{port}", level, user),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 22,
    )  # fmt: skip
    consumer = Consumer(process)
    reading = asyncio.create_task(consumer.read())
    try:
        await consumer.until(lambda: consumer.subscribed, 30)
        yield consumer
    finally:
        process.terminate()
        async with asyncio.timeout(10):
            await process.wait()
            await reading


@asynccontextmanager
async def watching(port: int, protocol: Any, user: str) -> AsyncIterator[Follower]:
    """Follow a broker with what ``edge-agent watch`` is made of."""
    follower = Follower()
    login = Login(Server("127.0.0.1", port, False), user or None, "x" if user else None, protocol=protocol)

    def hear(topic: str, payload: bytes) -> None:
        follower.hear(topic, payload, time.time_ns() // 1_000_000)

    subscriber = Subscriber(login, ["park/v1/+/+/+/#"], hear, follower.rejoin, lambda _text: None)
    await asyncio.to_thread(subscriber.open)
    try:
        yield follower
    finally:
        await asyncio.to_thread(subscriber.close)
