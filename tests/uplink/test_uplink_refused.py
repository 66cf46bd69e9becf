"""Brokers that refuse: a clear word, no secret in it, patience, and nothing given up."""

import asyncio
import json
import logging
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from edge_agent.backoff import Backoff
from edge_agent.demo import amqtt_broker, broker
from edge_agent.uplink.refusals import Refusal
from tests.faults.broker import running as broker_running
from tests.faults.stub import NO_ACK, TAKEN, Behaviour, Published, Stub
from tests.uplink.rig import BASE, UnknownClock, listening, running, settings

_PASSWORD = "correct horse battery staple"
_OWN = ("status", "health", "meta/#", "state/#", "data/#", "history/#", "loss/#")
_RULES = [f"topic write {BASE}/{topic}" for topic in _OWN] + [f"topic read {BASE}/status"]


@pytest.fixture(autouse=True)
async def _nothing_fails_unseen() -> AsyncIterator[None]:
    """An exception in a callback of the loop is only logged; here it fails the test."""
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(context))
    yield
    await asyncio.sleep(0)
    assert seen == []


def _passwords(folder: Path) -> list[str]:
    file = folder / "passwd"
    file.touch(0o600)
    made = subprocess.run(["mosquitto_passwd", "-b", file, "gw-01", _PASSWORD], check=False, timeout=60)
    assert made.returncode == 0
    return ["allow_anonymous false", f"password_file {file}"]


async def test_the_right_password_opens(tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker", extra=_passwords(tmp_path)) as served:
        more = {"username": "gw-01", "password": _PASSWORD}
        async with running(tmp_path, settings(served.port, **more)) as rig:
            rig.keep(1)
            await rig.drained()
            assert rig.acknowledged


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_wrong_password_is_told_once_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr("edge_agent.uplink.uplink._CREDENTIALS_S", 0.3)
    caplog.set_level(logging.DEBUG)
    async with broker_running(tmp_path / "broker", extra=_passwords(tmp_path)) as served:
        wrong = {"username": "gw-01", "password": "sesame-open", "protocol": protocol}
        began = monotonic()
        async with running(tmp_path, settings(served.port, **wrong)) as rig:
            rig.keep(1)
            await rig.until(lambda: "check username and password" in rig.uplink.status().problem)
            await rig.until(lambda: served.log.read_text("utf-8").count("not authorised") > 2)
            status = rig.uplink.status()
            assert not status.connected
            assert status.backlog == 1
            assert monotonic() - began > 0.6, "it waits between its tries"
    assert "sesame-open" not in caplog.text + repr(status) + repr(rig.uplink._settings)
    assert sum("check username and password" in record.message for record in caplog.records) == 1


async def test_credentials_are_asked_for_slowly() -> None:
    """A broker that is asked too often with a wrong password bans the address of the whole park."""
    from edge_agent.uplink import uplink  # noqa: PLC0415 - for its constant alone

    assert uplink._CREDENTIALS_S >= 30


async def test_311_is_not_trusted_before_it_has_proved_that_we_may_write(tmp_path: Path) -> None:
    """Under 3.1.1 a broker acknowledges what an ACL denies: then nothing may count as taken."""
    async with broker_running(tmp_path / "broker", acl=True) as served:
        served.allow("topic read #")
        await served.reload()
        own = settings(served.port, protocol="3.1.1", ack_timeout="1s")
        async with running(tmp_path, own) as rig, listening(served.port) as heard:
            rig.keep(20)
            await rig.until(lambda: "does not pass" in rig.uplink.status().problem)
            await asyncio.sleep(1)
            assert rig.uplink.status().acknowledged == 0
            assert rig.acknowledged == []
            served.allow("topic readwrite #")
            process = served._served._process
            assert process is not None
            process.send_signal(signal.SIGHUP)  # mosquitto reads its ACL again
            await rig.drained()
            await heard.until(lambda: len(heard.readings().get(("meter-7", rig.outbox.epoch), ())) == 20)


async def test_an_acl_that_denies_readings_gives_up_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with broker_running(tmp_path / "broker", acl=True) as served:
        served.allow(*(rule for rule in _RULES if "data/#" not in rule and "history/#" not in rule))
        await served.reload()
        async with running(tmp_path, settings(served.port, protocol="5")) as rig:
            rig.keep(20)
            await rig.until(lambda: "check ACL" in rig.uplink.status().problem)
            await asyncio.sleep(2)
            status = rig.uplink.status()
            assert (status.connected, status.acknowledged, status.backlog) == (True, 0, 20)
            assert rig.outbox.lost == 0
            assert sum("refuses" in record.message for record in caplog.records) == 1
            served.allow(*_RULES, "topic read #")
            await served.reload()
            await rig.drained()
            assert sorted(set(rig.numbers())) == [("meter-7", seq) for seq in range(1, 21)]


async def test_several_refused_messages_and_then_a_cut_lose_nothing(tmp_path: Path) -> None:
    """All that was in flight comes back, in its old order, before the log is forgotten."""
    async with (
        Stub(Behaviour(verdict=_only("data", NO_ACK))) as stub,
        running(tmp_path, settings(stub.port)) as rig,
    ):
        await rig.connected()
        for _ in range(3):
            before = rig.outbox.kept
            rig.keep(10)
            await rig.until(lambda: rig.outbox.kept > before)  # noqa: B023 - used at once
        sending = rig.uplink._sending
        assert sending is not None
        await rig.until(lambda: sending.in_flight.runs == 3)
        for mid in list(sending.in_flight._flying):
            sending._acked(mid, Refusal(0x87, "Not authorized"))
        stub.behaviour.verdict = lambda _message: TAKEN
        sending._closed("cut by the test")
        await rig.drained()
        assert sorted(set(rig.numbers())) == [("meter-7", seq) for seq in range(1, 31)]


async def test_an_unknown_clock_makes_no_message_too_large(tmp_path: Path) -> None:
    """Bounds of time make a reading longer than it was taken for; that is no fault of the reading."""
    async with broker_running(tmp_path / "broker", extra=["max_packet_size 3000"]) as served:
        own = settings(served.port, protocol="5")
        async with running(tmp_path, own, clock=UnknownClock(), clock_wait=0) as rig:
            await rig.connected()
            rig.keep(500)
            await rig.drained()
            assert rig.outbox.lost == 0
            assert rig.uplink._sending is not None
            assert rig.uplink._sending._announcements.session == 1
            assert not rig.uplink._state.suspects._counts
            items = [json.loads(told.payload)["readings"][0] for told in rig.acknowledged]
            assert {item["clock"] for item in items} == {"unsynchronised"}


async def test_the_acl_of_the_contract_is_enough(tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker", acl=True) as served:
        served.allow(*_RULES, "user listener", "topic read #")
        await served.reload()
        async with listening(served.port, "-u", "listener") as heard:
            for protocol in ("5", "3.1.1"):
                async with running(tmp_path, settings(served.port, protocol=protocol)) as rig:
                    rig.keep(2)
                    await rig.drained()
                    await rig.uplink.stop(30)
            await heard.until(lambda: len(heard.readings().get(("meter-7", rig.outbox.epoch), ())) == 4)
            await heard.until(lambda: heard.last_status == ("stopped", 2))
            assert {said.kind for said in heard.heard} >= {"status", "meta", "state", "data", "health"}


async def test_a_broker_that_knows_only_311_is_spoken_to_in_311(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """amqtt neither refuses nor answers who comes with MQTT 5."""
    monkeypatch.setattr("edge_agent.uplink.mqtt._CONNECT_S", 1.0)
    login = broker.own_login(tmp_path)
    served = amqtt_broker.prepare(tmp_path, login)
    await served.start()
    more = {"username": login.username, "password": login.password, "servers": [login.url]}
    try:
        async with running(tmp_path, settings(1, **more)) as rig:
            rig.keep(5)
            await rig.drained()
            assert rig.uplink.status().protocol == "3.1.1"
    finally:
        await served.stop()


@pytest.mark.parametrize("mute", [False, True])
async def test_falls_back_when_told_at_once_and_when_cut_after_three(tmp_path: Path, *, mute: bool) -> None:
    behaviour = Behaviour(versions=(4,), mute=mute, echo=True)
    async with Stub(behaviour) as stub, running(tmp_path, settings(stub.port)) as rig:
        rig.keep(1)
        await rig.drained()
        assert [level for _, level, _ in stub.heard.connects] == [5] * (3 if mute else 1) + [4]


async def test_a_fall_back_that_was_none_is_taken_back(tmp_path: Path) -> None:
    """A broker behind a balancer closes on everybody while it is away; that says nothing about versions."""
    behaviour = Behaviour(versions=(), mute=True)
    async with Stub(behaviour) as stub, running(tmp_path, settings(stub.port)) as rig:
        await rig.until(lambda: 4 in [level for _, level, _ in stub.heard.connects])
        stub.behaviour.versions = (5,)
        rig.keep(1)
        await rig.drained()
        assert rig.uplink.status().protocol == "5"


async def test_a_configured_version_is_not_left(tmp_path: Path) -> None:
    async with Stub(Behaviour(versions=(4,))) as stub:
        async with running(tmp_path, settings(stub.port, protocol="5")) as rig:
            await rig.until(lambda: len(stub.heard.connects) > 3)
            assert "does not speak this MQTT version" in rig.uplink.status().problem
        assert {level for _, level, _ in stub.heard.connects} == {5}


def _only(kind: str, verdict: int | None) -> Callable[[Published], int | None]:
    return lambda message: verdict if f"/{kind}/" in message.topic else TAKEN


def _is_of_readings(message: Published) -> bool:
    return "/data/" in message.topic or "/history/" in message.topic


async def test_a_session_whose_acknowledgements_stop_is_rebuilt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    withholding = Behaviour(verdict=lambda message: NO_ACK if _is_of_readings(message) else TAKEN)
    async with Stub(withholding) as stub, running(tmp_path, settings(stub.port, ack_timeout="1s")) as rig:
        await rig.connected()
        rig.keep(5)
        await rig.until(
            lambda: "no acknowledgement for 1 s" in caplog.text
        )  # the problem stands for a moment
        assert rig.uplink.status().acknowledged == 0
        stub.behaviour.verdict = lambda _message: TAKEN
        await rig.drained()
        assert sorted(rig.numbers()) == [("meter-7", seq) for seq in range(1, 6)]


async def test_pings_do_not_hide_that_acknowledgements_stopped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker answers pings and takes health: it looks alive, and takes no reading."""
    withholding = Behaviour(verdict=lambda message: NO_ACK if _is_of_readings(message) else TAKEN)
    async with (
        Stub(withholding) as stub,
        running(tmp_path, settings(stub.port, ack_timeout="7s", keepalive="5s")) as rig,
    ):
        await rig.connected()
        rig.keep(1)
        await rig.until(lambda: "no acknowledgement for 7 s" in caplog.text, within=90)


async def test_receive_maximum_of_three(tmp_path: Path) -> None:
    async with Stub(Behaviour(receive_maximum=3)) as stub:
        async with running(tmp_path, settings(stub.port)) as rig:
            for _ in range(30):
                rig.keep(10)
                await asyncio.sleep(0.005)
            await rig.drained()
        assert stub.heard.most_unacked <= 3
        stub.heard.most_unacked = 0
        stub.behaviour.verdict = lambda _message: NO_ACK
        async with running(tmp_path, settings(stub.port, ack_timeout="1s")) as rig:
            rig.keep(10)
            await rig.until(lambda: len(stub.heard.connects) > 2)  # no acknowledgement: it was rebuilt
        assert stub.heard.most_unacked == 3


async def test_a_client_that_is_kicked_does_not_come_back_at_full_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two gateways with one client id kick each other, each time after some acknowledgements."""
    resets = 0

    def reset(_backoff: Backoff) -> None:
        nonlocal resets
        resets += 1

    def kick_soon(message: Published) -> int | None:
        if message.number == 3:
            for link in list(stub._links):
                link.cancel()
        return TAKEN

    monkeypatch.setattr(Backoff, "reset", reset)
    stub = Stub(Behaviour(verdict=kick_soon))
    async with stub, running(tmp_path, settings(stub.port)) as rig:
        await rig.until(lambda: len(stub.heard.connects) >= 5)
        assert resets == 0
        monkeypatch.setattr("edge_agent.uplink.uplink._STEADY_S", 0.0)
        await rig.until(lambda: resets)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 64,
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"\x20\x03\x00\x00\x00" + b"\x40\x05\x00\x01\x00\x7f\xff",
        b"\x20\x03\x00\x00\x00" + b"\x30\x08\x00\x04\xff\xfe\xfd\xfc\x00\x00",
        b"\x20\x03\x00\x00\x00" + b"\x90\x04\x00\x01\x05\x01",
        b"\x20\x03\x00\x00\x00" + b"\xff\xff\xff\xff\xff\xff",
        b"\x20\x06\x00\x00\x03\x21\x00\x00",
        b"\x20\x7f" + bytes(range(127)),
    ],
)
async def test_what_is_not_mqtt_ends_the_session_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, garbage: bytes
) -> None:
    monkeypatch.setattr("edge_agent.uplink.mqtt._CONNECT_S", 1.0)
    heard = 0
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += 1
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await reader.read(1)
            writer.write(garbage)
            await asyncio.sleep(0.3)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(tmp_path, settings(port, protocol="5")) as rig:
        rig.keep(1)
        await rig.until(lambda: heard >= 2)
        await rig.until(lambda: rig.uplink.status().problem)
        assert rig.uplink.status().acknowledged == 0
    server.close()
    await asyncio.gather(*serving)
