"""Links that cost by the byte: readings that share messages, and a backlog that is packed."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.contract.follow import Follower
from tests.contract.told import NOW
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.uplink.asker import asking
from tests.uplink.rig import BASE, DEVICES, GATEWAY, Rig, listening, running, settings

METER, ROOM = DEVICES


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker", extra=["log_type all"]) as served:
        yield served


async def _one_by_one(rig: Rig, count: int) -> None:
    for _ in range(count):
        rig.keep(1)
        rig.keep(1, ROOM)
        await rig.until(lambda: not rig.outbox.waiting)


async def test_readings_wait_and_share_a_message(broker: Broker, tmp_path: Path) -> None:
    async with (
        listening(broker.port) as heard,
        running(tmp_path, settings(broker.port, send={"batch": "2s"})) as rig,
    ):
        await rig.connected()
        began = monotonic()
        for wave in (1, 2):
            await _one_by_one(rig, 10)
            await rig.drained()
            await heard.until(lambda: sum(map(len, heard.readings().values())) == 20 * wave)  # noqa: B023 - used at once
        waits = 1 + (monotonic() - began) // 2
        assert len(heard.of("data")) <= 2 * waits, "one of each device each time that they have waited"
        assert len(heard.of("history")) == 0


async def test_a_stop_waits_for_no_batch(broker: Broker, tmp_path: Path) -> None:
    async with (
        listening(broker.port) as heard,
        running(tmp_path, settings(broker.port, send={"batch": "1h"})) as rig,
    ):
        await rig.connected()
        await _one_by_one(rig, 3)
        await rig.uplink.stop(30)
        await heard.until(lambda: heard.last_status == ("stopped", 1))
        assert rig.uplink.status().backlog == 0
        assert {said.payload["device"]: len(said.payload["readings"]) for said in heard.of("data")} == {
            METER: 3,
            ROOM: 3,
        }


async def test_a_message_that_is_full_waits_for_nothing(broker: Broker, tmp_path: Path) -> None:
    async with running(tmp_path, settings(broker.port, send={"batch": "1h"})) as rig:
        await rig.connected()
        rig.keep(2_500)
        await rig.until(lambda: len(rig.numbers()) > 500)  # fewer than a message holds wait again


@contextmanager
def _hearing(port: int) -> Iterator[list[paho.MQTTMessage]]:
    """What comes on ``history``, with its properties."""
    heard: list[paho.MQTTMessage] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, "metered", protocol=paho.MQTTv5)
    client.on_message = lambda _client, _data, message: heard.append(message)
    client.connect("127.0.0.1", port)
    client.subscribe(f"{BASE}/history/+", 1)
    client.loop_start()
    try:
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


async def _backlog(rig: Rig, count: int) -> None:
    rig.keep(count)
    await rig.until(lambda: not rig.outbox.waiting)


@pytest.mark.parametrize("protocol", ["5", "auto"])
async def test_a_backlog_and_a_replay_go_packed_and_the_follower_reads_them(
    broker: Broker, tmp_path: Path, protocol: str
) -> None:
    async with running(tmp_path, settings(broker.port), start=False) as rig:
        await _backlog(rig, 5_000)
    options = {"send": {"gzip": True}, "commands": True, "protocol": protocol}
    with _hearing(broker.port) as heard:
        await broker.subscribed("metered")
        async with (
            running(tmp_path, settings(broker.port, **options), carry_out={}) as rig,
            asking(broker.port) as asker,
        ):
            await rig.drained()
            await asker.online()
            rig.keep(1)
            asker.ask("replay", "r1", device=METER, epoch=rig.outbox.epoch, from_seq=1, to_seq=100)
            await asker.answer("r1")
            follower = Follower(from_start=True)
            read = 0

            def all_came() -> bool:
                nonlocal read
                came = heard[read:]  # a thread adds to them meanwhile
                for message in came:
                    told = follower.hear(message.topic, bytes(message.payload), NOW)
                    assert not told.refused
                read += len(came)
                return follower.counts.readings == 5_000 and follower.counts.again == 100

            await rig.until(all_came)
    for message in heard:
        beside = dict(message.properties.UserProperty)  # type: ignore[union-attr]
        assert (beside["content-encoding"], beside["type"]) == ("gzip", "park.data/1")
        assert message.properties.ContentType == "application/json"  # type: ignore[union-attr]
        assert getattr(message.properties, "PayloadFormatIndicator", 0) == 0
        assert json.loads(gzip.decompress(message.payload))["gateway"] == GATEWAY
    packed = sum(len(message.payload) for message in heard)
    plain = sum(len(gzip.decompress(message.payload)) for message in heard)
    assert packed < plain / 4


async def test_under_3_1_1_nothing_is_packed(tmp_path: Path) -> None:
    """A broker that does not know MQTT 5 has no place to say so."""
    folder = tmp_path / "broker"
    async with (
        broker_running(folder, extra=["log_type all"]) as broker,
        listening(broker.port) as heard,
    ):
        async with running(tmp_path, settings(broker.port), start=False) as rig:
            await _backlog(rig, 500)
        async with running(tmp_path, settings(broker.port, send={"gzip": True}), start=False) as rig:
            rig.uplink._protocol = "3.1.1"  # as after the broker's refusal of 5
            runs = asyncio.create_task(rig.uplink.run())
            try:
                await rig.drained()
                assert rig.uplink.status().protocol == "3.1.1"
            finally:
                runs.cancel()
                await asyncio.gather(runs, return_exceptions=True)
        await heard.until(lambda: sum(len(said.payload["readings"]) for said in heard.of("history")) == 500)
