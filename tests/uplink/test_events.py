"""Events: each comes once and in order, whatever happens between; who is gone is retired, once."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_agent.backoff import Backoff
from edge_agent.contract.messages import EventMessage
from edge_agent.event import Event
from edge_agent.outbox.events import body
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Selection
from edge_agent.row import EVENT_META, Row, Stream
from edge_agent.uplink.circuit_breaker import CircuitBreaker
from edge_agent.uplink.events import event as message_of
from edge_agent.uplink.topics import Topics
from tests.faults.broker import running as broker_running
from tests.faults.gateway import Gateway, config
from tests.faults.stub import NO_ACK, Behaviour, Published, Stub
from tests.outbox.world import ask
from tests.uplink.rig import BASE, DEVICES, GATEWAY, Listener, Rig, listening, running, settings

_METER, _ROOM = DEVICES
_NO_EVENTS = [
    f"topic write {BASE}/{below}"
    for below in ("status", "health", "meta/#", "state/#", "data/#", "history/#", "loss/#", "reply/#")
]


def _events(heard: Listener) -> list[dict[str, Any]]:
    return [said.payload for said in heard.heard if said.kind == "event"]


def _tell(rig: Rig, *kinds: str, device: str = _METER) -> None:
    for kind in kinds:
        of = ("power", "high") if kind.startswith("alarm") else ("", "")
        rig.outbox.events.tell(Event(kind, device, rig.outbox._clock.mono_ms(), "why", *of))  # type: ignore[arg-type]


def _owed(outbox: Outbox) -> int:
    return outbox.deliveries["city"].owed


async def test_they_come_in_order_beside_readings_and_over_an_outage(tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker", persistence=True) as served:
        async with listening(served.port) as heard, running(tmp_path, settings(served.port)) as rig:
            rig.keep(20)
            _tell(rig, "late", "offline")
            await rig.drained()
            await heard.until(lambda: len(_events(heard)) == 2)
            await served.stop()
            rig.keep(20)
            _tell(rig, "online", "late")
            await rig.until(lambda: not rig.outbox.waiting)
            await served.start()
            await rig.until(lambda: not _owed(rig.outbox))
            assert (rig.outbox.kept, rig.uplink.status().acknowledged) == (40, 40), "events are no readings"
        async with running(tmp_path, settings(served.port)) as rig, listening(served.port) as heard:
            _tell(rig, "online")
            await rig.until(lambda: not rig.outbox.waiting and not _owed(rig.outbox))
            await heard.until(lambda: 5 in [event["seq"] for event in _events(heard)])
    told = {event["seq"]: event for event in _events(heard)}
    kinds = ["late", "offline", "online", "late", "online"]
    assert [told.get(seq, {"event": kind})["event"] for seq, kind in enumerate(kinds, 1)] == kinds
    for event in told.values():
        assert EventMessage.model_validate(event).settled < event["seq"]


async def test_what_is_not_sent_survives_and_comes_with_its_own_number(tmp_path: Path) -> None:
    async with running(tmp_path, settings(1), start=False) as rig:
        _tell(rig, "offline", "online", "alarm")
        await rig.until(lambda: not rig.outbox.waiting)
        epoch = rig.outbox.epoch
    async with broker_running(tmp_path / "broker") as served, listening(served.port) as heard:
        async with running(tmp_path, settings(served.port)) as rig:
            _tell(rig, "alarm_cleared")
            await heard.until(lambda: len(_events(heard)) == 4)
            await rig.until(lambda: not _owed(rig.outbox))
            assert rig.outbox.events.latest == {_METER: "online", f"{_METER}/power.high": "alarm"}, (
                "at its start"
            )
        assert [(event["seq"], event["event"], event["epoch"]) for event in _events(heard)] == [
            (1, "offline", epoch),
            (2, "online", epoch),
            (3, "alarm", epoch),
            (4, "alarm_cleared", epoch),
        ]


async def test_an_acl_without_events_stops_nothing_else(tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker", acl=True) as served:
        served.allow(*_NO_EVENTS, f"topic read {BASE}/status")
        await served.reload()
        async with running(tmp_path, settings(served.port, protocol="5")) as rig:
            _tell(rig, "offline")
            await rig.until(lambda: "refuses events" in rig.uplink.status().problem)
            for _ in range(20):
                rig.keep(5)
                await rig.drained()
            assert (rig.uplink.status().acknowledged, _owed(rig.outbox), rig.outbox.lost) == (100, 1, 0)
            served.allow("topic readwrite #")
            await served.reload()
            await rig.until(lambda: not _owed(rig.outbox))


async def test_events_that_are_refused_do_not_hold_the_log_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the replay window they are declared and set aside; what is allowed later goes on."""
    impatient = partial(CircuitBreaker, _backoff=Backoff(0.05, 0.1))
    monkeypatch.setattr("edge_agent.uplink.circuit_breaker.CircuitBreaker", impatient)
    monkeypatch.setattr("edge_agent.uplink.dead_letters._PATIENCE_S", 0.1)
    listener = ("user listener", "topic read #")
    async with broker_running(tmp_path / "broker", acl=True) as served:
        served.allow(*_NO_EVENTS, f"topic read {BASE}/status", *listener)
        await served.reload()
        own = settings(served.port, protocol="5")
        async with (
            listening(served.port, "-u", "listener") as heard,
            running(tmp_path, own) as rig,
        ):
            _tell(rig, "offline", "online", "late")
            await rig.until(lambda: "refuses events" in rig.uplink.status().problem)
            await asyncio.sleep(0.3)
            assert _owed(rig.outbox) == 3, "at first they are only held"
            rig.outbox._writer._retention.limit(replace(rig.outbox._policy, replay=0))  # as if it were over
            rig.keep(5)
            await rig.until(lambda: not rig.outbox.waiting and not _owed(rig.outbox))
            delivery = rig.outbox.deliveries["city"]
            await rig.until(lambda: delivery.scan_from == delivery.last_id + 1)
            await heard.until(lambda: len({said.payload["seq"] for said in heard.of("loss")}) == 3)
            served.allow(f"topic write {BASE}/#", f"topic read {BASE}/status", *listener)
            before = sum(said.retained for said in heard.heard)
            await served.reload()
            # until the listener is back, a mosquitto 2.0.11 with an ACL forgets what it acknowledges
            await heard.until(lambda: sum(said.retained for said in heard.heard) > before)
            _tell(rig, "online")
            await heard.until(lambda: {event["seq"] for event in _events(heard)} == {4})
            await rig.until(lambda: not rig.uplink.status().problem)
    losses = [said.payload for said in heard.heard if said.kind == "loss"]
    assert {(loss["device"], loss["reason"]) for loss in losses} == {("gateway", "rejected")}
    declared = {(loss["seq"], loss["from_seq"], loss["to_seq"]) for loss in losses}
    assert declared == {(1, 1, 1), (2, 2, 2), (3, 3, 3)}, "they may come again after a reconnect"
    ((kept,),) = ask(tmp_path / "outbox.db", "SELECT count(*) FROM quarantine")
    assert kept == 3
    told = [record for record in caplog.records if "older than outbox.replay" in record.message]
    assert len(told) == 1, "one line, not one for each"


async def test_old_events_that_are_refused_for_a_while_are_only_held(tmp_path: Path) -> None:
    """After a long outage all are older than what is kept for replays; and a quota may be used up."""
    codes = [0x97, 0x97]

    def verdict(message: Published) -> int:
        return codes.pop() if "/event/" in message.topic and codes else 0

    async with (
        Stub(Behaviour(verdict=verdict)) as stub,
        running(tmp_path, settings(stub.port), replay=0) as rig,
    ):
        _tell(rig, "offline", "online", "late")
        await rig.until(lambda: not rig.outbox.waiting and not _owed(rig.outbox))
        assert not codes
    assert ask(tmp_path / "outbox.db", "SELECT count(*) FROM loss") == [(0,)]


async def test_events_are_tried_again_though_readings_are_always_on_their_way(tmp_path: Path) -> None:
    codes = [0x87]

    def verdict(message: Published) -> int | None:
        if "/event/" in message.topic:
            return codes.pop() if codes else 0
        return NO_ACK if "/data/" in message.topic else 0

    own = {"ack_timeout": "60s"}
    async with Stub(Behaviour(verdict=verdict)) as stub, running(tmp_path, settings(stub.port, **own)) as rig:
        await rig.connected()
        rig.keep(1)
        await rig.until(lambda: rig.uplink.status().in_flight)
        _tell(rig, "offline")
        await rig.until(lambda: not codes and _owed(rig.outbox) == 1 and not rig.uplink.status().problem)
        assert rig.uplink.status().in_flight == 1


async def test_what_lies_in_the_log_is_known_to_any_agent(tmp_path: Path) -> None:
    """An older agent refuses keys that it does not know, but for those that it writes over; this one none."""
    lies = json.loads(body(Event("retired", _ROOM, 1, "why"), "city", stays=True))
    assert set(lies) - {"uplink"} <= set(EventMessage.model_fields)
    stream = Stream(1, "k7f2", "gateway", 2, "event")
    row = Row(1, stream.id, 1, 1, 1, EVENT_META, json.dumps(lies | {"of_later": 1}).encode())
    async with running(tmp_path, settings(1), start=False) as rig:
        said = json.loads(message_of(rig.gateway, Topics(BASE), stream, 0, row).payload)
    assert (said["event"], said["device"], said["gateway"]) == ("retired", _ROOM, GATEWAY)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_subscription_that_is_denied_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    async with Stub(Behaviour(granted=0x80, echo=protocol == "3.1.1")) as stub:
        own = settings(stub.port, protocol=protocol, commands=["ping"])
        async with running(tmp_path, own, carry_out={}) as rig:
            await rig.until(lambda: f"read {BASE}/cmd/#" in rig.uplink.status().problem)
            rig.keep(2)
            await rig.drained()
            assert rig.uplink._sending
            rig.uplink._sending._end("cut")
            await rig.until(lambda: len(stub.heard.connects) >= 2)
            await rig.until(lambda: f"read {BASE}/cmd/#" in rig.uplink.status().problem)
    assert sum("cmd/# (" in record.message for record in caplog.records) == 1


async def test_what_is_retained_is_refreshed_behind_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.uplink.timers._DAY_S", 0.3)
    async with (
        broker_running(tmp_path / "broker") as served,
        listening(served.port) as heard,
        running(tmp_path, settings(served.port)),
    ):
        topics = {
            f"{BASE}/status",
            *(f"{BASE}/{kind}/{id_}" for kind in ("meta", "state") for id_ in DEVICES),
        }
        await heard.until(
            lambda: all(sum(said.topic == topic for said in heard.heard) >= 3 for topic in topics)
        )


async def test_a_device_that_is_on_other_uplinks_only_is_retired_on_this_one(tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker") as served, listening(served.port) as heard:
        async with running(tmp_path, settings(served.port)) as rig:
            rig.keep(1, _METER)
            rig.keep(1, _ROOM)
            await rig.drained()
            outbox = rig.outbox
            known = await outbox.change(
                outbox._policy, {"city": Selection({_METER})}, outbox._writer.roster.devices
            )
            rig.uplink.describe({_METER: rig.gateway.metas[_METER]}, known)
            _tell(rig, "late")
            await heard.until(lambda: [said for said in heard.heard if said.payload == {}])
        told = [(event["event"], event["device"], event["seq"]) for event in _events(heard)]
        assert told == [("late", _METER, 1), ("retired", _ROOM, 2)]


async def test_a_device_that_is_gone_is_retired_once_and_may_come_back(tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker") as served, listening(served.port) as heard:
        gateway = Gateway(tmp_path, [tmp_path / "gw-01.toml"], tmp_path / "outbox.db")
        try:
            for devices, retired in ((2, 0), (1, 1), (1, 1), (2, 1), (1, 2)):
                config(tmp_path, served.port, devices=("d1", "d2")[:devices], outbox=gateway.outbox)
                before = len(heard.heard)
                await gateway.start()
                await heard.until(lambda: [s for s in heard.heard[before:] if s.kind == "data"])  # noqa: B023 - used at once
                if devices == 1:
                    await heard.until(lambda: [s for s in heard.heard[before:] if s.payload == {}])  # noqa: B023
                await gateway.drained(60)
                assert await gateway.stop() == 0, gateway.tail()
                told = [event for event in _events(heard) if event["event"] == "retired"]
                assert [event["device"] for event in told] == ["d2"] * retired
        finally:
            await gateway.close()
        cleared = [said for said in heard.heard if said.payload == {}]
        assert {said.topic for said in cleared} == {f"{BASE}/meta/d2", f"{BASE}/state/d2"}
        first = next(at for at, said in enumerate(heard.heard) if said.payload == {})
        kinds = [said.payload.get("event") for said in heard.heard[:first] if said.kind == "event"]
        assert kinds[-1] == "retired", "told before it is cleared"


async def test_a_kill_neither_repeats_nor_forgets_what_was_told(tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker") as served, listening(served.port) as heard:
        gateway = Gateway(
            tmp_path, [config(tmp_path, served.port, outbox=tmp_path / "outbox.db")], tmp_path / "outbox.db"
        )
        try:
            for life in range(1, 4):
                await gateway.start()
                await heard.until(lambda: [e["event"] for e in _events(heard)].count("restarted") >= life)  # noqa: B023
                await heard.until(lambda: {e["device"] for e in _events(heard)} == {"gateway", "d1", "d2"})
                await asyncio.sleep(0.5)
                await gateway.kill()
        finally:
            await gateway.close()
    told = {event["seq"]: (event["device"], event["event"]) for event in _events(heard)}
    assert sorted(told) == list(range(1, 6))
    assert sorted(told.values()) == [("d1", "online"), ("d2", "online"), *[("gateway", "restarted")] * 3]


async def test_mqtt_5_carries_what_cloudevents_asks_for(tmp_path: Path) -> None:
    """Judged by CloudEvents 1.0.2, 3.1, as another program hears it."""
    async with broker_running(tmp_path / "broker") as served, running(tmp_path, settings(served.port)) as rig:
        await rig.connected()
        process = await asyncio.create_subprocess_exec(
            *("mosquitto_sub", "-h", "127.0.0.1", "-p", str(served.port), "-V", "5", "-C", "3", "-W", "60"),
            *("-t", f"{BASE}/data/#", "-t", f"{BASE}/event/#", "-F", "%C|%F|%P|%p"),
            stdout=asyncio.subprocess.PIPE,
        )
        heard = asyncio.create_task(process.communicate())
        while not heard.done():  # it ends after three messages, or 60 s
            rig.keep(2)
            _tell(rig, "late")
            await asyncio.wait((heard,), timeout=0.2)
        lines = heard.result()[0].splitlines()
        assert len(lines) == 3
    kinds = set()
    for line in lines:
        kind, indicator, stated, payload = line.decode().strip().split("|", 3)
        said = json.loads(payload)
        about = dict(pair.split(":", 1) for pair in stated.split())
        assert (kind, indicator, set(about)) == (
            "application/json", "1", {"specversion", "id", "source", "type", "time"},
        )  # fmt: skip
        assert (about["specversion"], about["type"], about["source"]) == ("1.0", said["schema"], BASE)
        first = said["readings"][0] if "readings" in said else said
        assert datetime.fromisoformat(about["time"]).timestamp() * 1000 == pytest.approx(first["ts"])
        of = said["device"] if "readings" in said else "event"
        assert re.fullmatch(rf"gw-01/{of}/{said['epoch']}/{first['seq']}(-\d+)?", about["id"])
        kinds.add(said["schema"])
    assert kinds
