"""A consumer that is slower than a backlog, behind mosquitto's default limits: acknowledged is not delivered.

What the broker drops for it is gone until it is asked for again; what is held here is that nothing of it
goes unnoticed: what arrived and what is named as missing are together all there is, to the number.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.contract.follow import Follower
from tests.contract.told import NOW
from tests.faults.broker import running as broker_running
from tests.uplink.rig import BASE, DEVICES, GATEWAY, Rig, running, settings

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
        assert slow.ready.wait(20)
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
    asked = list(slow.follower.replays())
    assert {replay[:2] for replay in asked} == {(GATEWAY, DEVICES[0])}
    assert missing <= {seq for one in asked for seq in range(one.from_seq, one.to_seq + 1)}
    assert len(asked) <= len(missing) // 500 + 1 + len(list(stream.gaps()))
