"""The uplink against a real mosquitto: what a backend hears, and what it can rely on."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import BaseModel

from edge_agent.contract.messages import DataMessage, HealthMessage, MetaMessage, StateMessage, StatusMessage
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.uplink.rig import BASE, DEVICES, UnknownClock, listening, running, settings

_MODELS: dict[str, type[BaseModel]] = {
    "status": StatusMessage,
    "meta": MetaMessage,
    "state": StateMessage,
    "data": DataMessage,
    "history": DataMessage,
    "health": HealthMessage,
}


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker") as served:
        yield served


@pytest.fixture(autouse=True)
async def _nothing_fails_unseen() -> AsyncIterator[None]:
    """An exception in a callback of the loop is only logged; here it fails the test."""
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(context))
    yield
    await asyncio.sleep(0)
    assert seen == []


@pytest.mark.parametrize("protocol", ["5", "3.1.1", "auto"])
async def test_a_backend_hears_all_of_the_contract(broker: Broker, tmp_path: Path, protocol: str) -> None:
    async with listening(broker.port) as heard:
        async with running(tmp_path, settings(broker.port, protocol=protocol)) as rig:
            await rig.connected()
            assert rig.uplink.status().protocol == ("3.1.1" if protocol == "3.1.1" else "5")
            rig.keep(20)
            rig.keep(5, "room-2")
            await rig.drained()
            await heard.until(lambda: any("power" in said.payload for said in heard.of("state")))
            await heard.until(lambda: heard.of("health"))
            assert rig.uplink.status().problem == ""
            await rig.uplink.stop(30)
        await heard.until(lambda: heard.last_status == ("stopped", 1))
        for said in heard.heard:
            model = _MODELS[said.kind].model_validate(said.payload)
            if isinstance(model, DataMessage):
                assert said.topic.rpartition("/")[2] == model.device
                assert said.kind == {"live": "data", "history": "history"}[model.lane]
        epoch = rig.outbox.epoch
        readings = heard.readings()
        assert {key: sorted(found) for key, found in readings.items()} == {
            ("meter-7", epoch): list(range(1, 21)),
            ("room-2", epoch): list(range(1, 6)),
        }
        sent = [item["values"]["power"] for item in readings["meter-7", epoch].values()]
        assert sorted(sent) == list(range(1, 21))
        assert [said.payload["state"] for said in heard.of("status")] == ["online", "stopped"]


async def test_who_comes_late_finds_status_descriptions_and_states(broker: Broker, tmp_path: Path) -> None:
    async with running(tmp_path, settings(broker.port)) as rig:
        async with listening(broker.port, "-i", "early") as early:
            rig.keep(1)
            await early.until(lambda: any("power" in said.payload for said in early.of("state")))
        async with listening(broker.port) as heard:
            await heard.until(lambda: len(heard.heard) >= 1 + 2 * len(DEVICES))
    topics = {said.topic.removeprefix(f"{BASE}/") for said in heard.heard if said.retained}
    assert topics == {"status", *(f"{kind}/{device}" for kind in ("meta", "state") for device in DEVICES)}
    states = {said.payload["device"]: said.payload for said in heard.of("state")}
    assert states["meter-7"]["power"] == 1
    assert "power" not in states["room-2"]


async def test_a_state_keeps_its_values_over_a_reconnect(broker: Broker, tmp_path: Path) -> None:
    """A device that speaks once an hour must not look empty because the link was cut."""
    async with running(tmp_path, settings(broker.port)) as rig, listening(broker.port) as heard:
        rig.keep(1)
        await heard.until(lambda: any("power" in said.payload for said in heard.of("state")))
        await broker.stop()
        await rig.until(lambda: not rig.uplink.status().connected)
        await broker.start()
        await rig.connected()
        await heard.until(lambda: (heard.last_status or ("", 0))[1] > 1)
        await heard.until(lambda: sum(said.payload["device"] == "room-2" for said in heard.of("state")) > 1)
        last = [said.payload for said in heard.of("state") if said.payload["device"] == "meter-7"][-1]
        assert last["power"] == 1


async def test_a_broker_that_was_absent_gets_everything_when_it_comes(tmp_path: Path) -> None:
    async with (
        broker_running(tmp_path / "broker", start=False) as broker,
        running(tmp_path, settings(broker.port)) as rig,
    ):
        rig.keep(300)
        await rig.until(lambda: rig.outbox.kept == 300)
        await rig.until(lambda: "no connection" in rig.uplink.status().problem)
        assert rig.uplink.status().backlog == 300
        await broker.start()
        await rig.drained()
        assert sorted(rig.numbers()) == [("meter-7", seq) for seq in range(1, 301)]


async def test_a_broker_that_comes_and_goes_loses_nothing(broker: Broker, tmp_path: Path) -> None:
    async with running(tmp_path, settings(broker.port)) as rig, listening(broker.port) as heard:
        for _ in range(4):
            rig.keep(200)
            rig.keep(50, "room-2")
            await asyncio.sleep(0.05)  # somewhere in the middle of it
            await broker.stop()
            rig.keep(100)
            await broker.start()
        await rig.drained()
        epoch = rig.outbox.epoch
        await heard.until(lambda: len(heard.readings().get(("meter-7", epoch), ())) == 1200)
        await heard.until(lambda: len(heard.readings().get(("room-2", epoch), ())) == 200)
        for device, last in (("meter-7", 1200), ("room-2", 200)):
            assert sorted(heard.readings()[device, epoch]) == list(range(1, last + 1))
        made = [item["values"]["power"] for known in heard.readings().values() for item in known.values()]
        assert len(made) == len(set(made)), "one reading under two numbers"


async def test_what_a_killed_broker_had_not_acknowledged_comes_again(broker: Broker, tmp_path: Path) -> None:
    """A broker that is killed may forget what it took. What it did not take is not counted as taken."""
    async with running(tmp_path, settings(broker.port)) as rig, listening(broker.port) as heard:
        for _ in range(3):
            before = len(rig.acknowledged)
            rig.keep(500)
            await rig.until(lambda: len(rig.acknowledged) > before)  # noqa: B023 - used at once
            process = broker._served._process
            assert process is not None
            process.kill()
            await process.wait()
            rig.keep(100)
            await broker.start()
        await rig.drained()
        numbers = rig.numbers()
        assert sorted(set(numbers)) == [("meter-7", seq) for seq in range(1, 1801)]
        assert len(heard.readings()) <= 1


async def test_its_own_will_that_comes_late_is_answered(broker: Broker, tmp_path: Path) -> None:
    async with running(tmp_path, settings(broker.port)) as rig, listening(broker.port) as heard:
        await heard.until(lambda: heard.of("status"))
        online = heard.of("status")[-1].payload
        late = (StatusMessage.model_validate(online)).model_copy(
            update={"state": "offline", "reason": "will"}
        )
        sending = await asyncio.create_subprocess_exec(
            *("mosquitto_pub", "-p", str(broker.port), "-q", "1", "-r", "-t", f"{BASE}/status"),
            *("-m", late.payload().decode()),
        )
        assert await sending.wait() == 0
        await heard.until(lambda: [state for state, _ in heard.statuses()][-2:] == ["offline", "online"])
        assert rig.uplink.status().connected


async def test_a_stop_says_goodbye_each_time(broker: Broker, tmp_path: Path) -> None:
    """However early it comes: the will must not follow, and nothing but "stopped" may stay behind."""
    async with listening(broker.port) as heard:
        for session in range(1, 21):
            protocol = "3.1.1" if session % 2 else "5"
            async with running(tmp_path, settings(broker.port, protocol=protocol)) as rig:
                await rig.connected()
                if session % 3:
                    rig.keep(3)
                    await asyncio.sleep(session / 1000)
                await rig.uplink.stop(30)
            last = ("stopped", session)
            await heard.until(lambda: heard.last_status == last)  # noqa: B023 - used at once
        await asyncio.sleep(0.5)
        assert heard.last_status == ("stopped", 20)
        assert {state for state, _ in heard.statuses()} == {"online", "stopped"}
    log = broker.log.read_text("utf-8")
    assert log.count("Client gw-01 disconnected") == 20
    assert "Client gw-01 closed" not in log


async def test_a_stop_while_readings_wait_for_the_clock_says_goodbye(broker: Broker, tmp_path: Path) -> None:
    """Or the backend believes for ever that a stopped gateway is online."""
    async with listening(broker.port) as heard:
        async with running(tmp_path, settings(broker.port), clock=UnknownClock(), clock_wait=60) as rig:
            await rig.connected()
            rig.keep(3)
            await rig.until(lambda: rig.outbox.kept == 3)
            await rig.uplink.stop(5)
            assert rig.uplink.status().backlog == 3
        await heard.until(lambda: heard.last_status == ("stopped", 1))


async def test_many_reconnects_leave_nothing_behind(broker: Broker, tmp_path: Path) -> None:
    def held() -> tuple[int, int, int]:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), len(asyncio.all_tasks())

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))  # else it grows as it likes
    async with running(tmp_path, settings(broker.port), retry=0.02) as rig:
        await rig.connected()
        before = held()
        for _ in range(10):
            rig.keep(5)
            sending = rig.uplink._sending
            assert sending is not None
            sending._closed("cut by the test")
            await rig.until(lambda: rig.uplink.status().connected and rig.uplink._sending is not sending)  # noqa: B023 - used at once
        await broker.stop()
        await rig.until(lambda: not rig.uplink.status().connected)
        await asyncio.sleep(0.5)  # many refused connections
        await broker.start()
        await rig.connected()
        await rig.drained()
        await rig.until(lambda: held() == before)


async def test_receive_maximum_is_respected(tmp_path: Path) -> None:
    """mosquitto closes the connection of who sends more than it said."""
    async with (
        broker_running(tmp_path / "broker", extra=["max_inflight_messages 3"]) as broker,
        running(tmp_path, settings(broker.port)) as rig,
    ):
        await rig.connected()
        for _ in range(40):
            rig.keep(20)
            rig.keep(20, "room-2")
            await asyncio.sleep(0.01)
        await rig.drained()
        assert rig.uplink._sending is not None
        assert rig.uplink._sending._announcements.session == 1


async def test_maximum_packet_size_is_respected(tmp_path: Path) -> None:
    """mosquitto closes the connection at a larger one."""
    async with (
        broker_running(tmp_path / "broker", extra=["max_packet_size 2500"]) as broker,
        running(tmp_path, settings(broker.port), start=True) as rig,
    ):
        await rig.connected()
        rig.keep(3000)
        await rig.drained()
        assert max(len(told.payload) for told in rig.acknowledged) < 2500
        assert rig.uplink._sending is not None
        assert rig.uplink._sending._announcements.session == 1


async def test_the_brokers_keep_alive_is_kept(tmp_path: Path) -> None:
    """A broker may want to hear from us more often than the configuration says (MQTT 5, 3.2.2.3.14)."""
    async with (
        broker_running(tmp_path / "broker", extra=["max_keepalive 10"]) as broker,
        running(tmp_path, settings(broker.port, keepalive="10m")) as rig,
    ):
        await rig.connected()
        sending = rig.uplink._sending
        await asyncio.sleep(18)
        assert rig.uplink._sending is sending, rig.uplink.status()
