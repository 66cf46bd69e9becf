"""A consumer that is slower than a backlog, behind mosquitto's default limits: acknowledged is not delivered.

What the broker drops for it is gone until it is asked for again. Nothing of it goes unnoticed: what arrived
and what is named as missing are together all there is, to the number. And whoever asks gets all of it in the
end: `edge-agent watch`, and the library it is built on.
"""

import asyncio
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import TypeAdapter

from edge_agent.consume.consumer import Consumer, Scope
from edge_agent.consume.subscriber import Login
from edge_agent.contract.follow import Follower, Heard
from edge_agent.contract.stream import MOST_ASKED
from edge_agent.settings.field_types import OneServer
from tests.cli.verb import finished, started
from tests.contract.told import NOW
from tests.faults.broker import running as broker_running
from tests.uplink.rig import BASE, Rig, running, settings

_DEFAULTS = ("max_queued_messages 1000", "max_inflight_messages 20")  # mosquitto.conf(5), 2.0
_QUEUED, _IN_FLIGHT = 1000, 20
_READINGS = 70_000
_AT_ONCE = 5_000


class Slow:
    """Acknowledges nothing until it is told to wake."""

    def __init__(self) -> None:
        self.follower = Follower(from_start=True)
        self.seqs: list[int] = []
        self.messages = 0
        self.ready = threading.Event()
        self._waiting: list[tuple[int, int]] = []
        self._awake = False
        self._lock = threading.Lock()

    def hear(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        with self._lock:
            self.messages += 1
            heard = self.follower.hear(message.topic, bytes(message.payload), NOW)
            assert not heard.refused
            self.seqs += [reading.seq for reading in heard.fresh]
            if not self._awake:
                self._waiting.append((message.mid, message.qos))
                return
        client.ack(message.mid, message.qos)

    def wake(self, client: paho.Client) -> None:
        with self._lock:
            waiting, self._waiting, self._awake = self._waiting, [], True
        for mid, qos in waiting:
            client.ack(mid, qos)


@contextmanager
def _slow(port: int) -> Iterator[tuple[Slow, paho.Client]]:
    slow = Slow()
    client = paho.Client(CallbackAPIVersion.VERSION2, "slow", protocol=paho.MQTTv5, manual_ack=True)
    client.on_message = slow.hear
    client.on_subscribe = lambda *_: slow.ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe([(f"{BASE}/data/+", 1), (f"{BASE}/history/+", 1)])
    client.loop_start()
    try:
        assert slow.ready.wait(60)
        yield slow, client
    finally:
        client.disconnect()
        client.loop_stop()


async def _backlog(rig: Rig) -> None:
    for _ in range(0, _READINGS, _AT_ONCE):
        rig.keep(_AT_ONCE)
        await rig.until(lambda: not rig.outbox.waiting)


async def test_what_a_broker_drops_for_a_slow_consumer_is_named_to_the_number(tmp_path: Path) -> None:
    limited = broker_running(tmp_path / "broker", extra=_DEFAULTS, start=False)
    async with limited as broker, running(tmp_path, settings(broker.port, max_packet="2KB")) as rig:
        await _backlog(rig)
        await broker.start()
        with _slow(broker.port) as (slow, client):
            await rig.drained()
            await rig.until(lambda: slow.messages >= _IN_FLIGHT)
            assert slow.messages == _IN_FLIGHT, "it is slow"
            sent = len(rig.acknowledged)
            slow.wake(client)
            await rig.until(lambda: slow.messages >= _IN_FLIGHT + _QUEUED)
            rig.keep(1)  # whose message says what is settled
            await rig.until(lambda: slow.seqs[-1] == _READINGS + 1)
    assert sent > 4_000, "all of it was acknowledged, in so many messages"
    (stream,) = slow.follower.streams.values()
    missing = {seq for first, last in stream.gaps() for seq in range(first, last + 1)}
    assert len(slow.seqs) == len(set(slow.seqs))
    assert missing | set(slow.seqs) == set(range(1, _READINGS + 2))
    assert not missing & set(slow.seqs)
    assert slow.messages == _IN_FLIGHT + _QUEUED + 1
    asked = list(stream.replays())
    assert missing <= {seq for first, last in asked for seq in range(first, last + 1)}
    assert len(asked) <= len(missing) // MOST_ASKED + len(list(stream.gaps()))


async def test_a_watch_that_was_stopped_ends_with_every_reading(tmp_path: Path) -> None:
    """It is stopped, as by a full disk or a slow terminal, while more passes than the broker keeps for it."""
    limited = broker_running(tmp_path / "broker", extra=[*_DEFAULTS, "log_type all"])
    options = {"max_packet": "2KB", "commands": True}
    async with running(tmp_path, settings(1), start=False) as rig:
        await _backlog(rig)
    async with (
        limited as broker,
        started("watch", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--from-start") as process,
    ):
        await broker.subscribed("watch-")
        process.send_signal(signal.SIGSTOP)
        async with running(tmp_path, settings(broker.port, **options), carry_out={}) as rig:
            await rig.drained()
            assert len(rig.acknowledged) > 4_000
            process.send_signal(signal.SIGCONT)
            assert process.stdout is not None
            missed = whole = line = ""
            async with asyncio.timeout(60):
                while not whole:
                    if "missing 0" in line:
                        rig.keep(1)  # whose message says what is settled
                    line = (await process.stdout.readline()).decode()
                    missed = missed or line * bool(re.search(r"missing [1-9]", line))
                    whole = line * bool(missed and "missing 0 " in line)
        process.send_signal(signal.SIGINT)
        said = await finished(process)
    assert said.code == 0, said.out
    last = said.out.splitlines()[-1]
    ((readings, replays),) = re.findall(r"^(\d+) readings .*duplicates.* replays (\d+)", last)
    assert int(readings) > _READINGS
    assert int(replays) <= 12, "coarse"


async def test_a_consumer_that_is_slow_all_the_time_ends_with_every_reading(tmp_path: Path) -> None:
    seen: Counter[int] = Counter()
    drained = threading.Event()

    def heard(message: Heard) -> None:
        time.sleep(0.001 if drained.is_set() else 0.02)  # as a database: a backlog comes many times as fast
        seen.update(reading.seq for reading in message.fresh)

    limited = broker_running(tmp_path / "broker", extra=_DEFAULTS)
    options = {"max_packet": "2KB", "commands": True}
    async with running(tmp_path, settings(1), start=False) as rig:
        await _backlog(rig)
    async with limited as broker:
        login = Login(TypeAdapter(OneServer).validate_python(f"mqtt://127.0.0.1:{broker.port}"))
        consumer = Consumer(login, Scope(), from_start=True, heard=heard)
        await asyncio.to_thread(consumer.open)
        try:
            async with running(tmp_path, settings(broker.port, **options), carry_out={}) as rig:
                await rig.drained()
                with consumer.following() as (follower, _):
                    assert follower.counts.readings < _READINGS, "it is slow"
                drained.set()
                async with asyncio.timeout(90):
                    while len(seen) < _READINGS:
                        rig.keep(1)
                        await asyncio.sleep(1)
                        consumer.ask()
        finally:
            await asyncio.to_thread(consumer.close)
    assert seen.keys() >= set(range(1, _READINGS + 1))
