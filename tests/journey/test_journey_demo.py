"""The demo, watched by somebody who knows nothing of it: what was kept arrives, once, whatever happens."""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.contract.messages import (
    DataMessage,
    EventMessage,
    HealthMessage,
    MetaMessage,
    StateMessage,
    StatusMessage,
)
from edge_agent.demo.config import SITE
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.journey.programs import NO_MOSQUITTO, edge_agent, kept, one_identity_each, summary
from tests.uplink.rig import Heard, Listener, listening

pytestmark = pytest.mark.xdist_group("journey")

_DEVICES = {
    *("meter-1", "meter-2", "climate-1", "radar-1"),
    *("air-1", "motion-1", "stairs-1", "roof-1", "store-1"),
}
_SOONER = "from edge_agent.demo import run; run._OUTAGE_AFTER = 6.0"
"""So that a test need not wait long for it."""


@pytest.fixture(autouse=True)
def _needs() -> None:
    if shutil.which("mosquitto_sub") is None:
        pytest.fail("mosquitto_sub is missing; run make test as root, or apt-get install mosquitto-clients")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker") as served:
        yield served


def _validated(heard: Heard) -> None:
    models = {
        "status": StatusMessage, "meta": MetaMessage, "state": StateMessage, "data": DataMessage,
        "history": DataMessage, "health": HealthMessage, "event": EventMessage,
    }  # fmt: skip
    models[heard.kind].model_validate(heard.payload)  # type: ignore[attr-defined]  # all are models


def _complete(listener: Listener, outbox: Path) -> bool:
    """Say whether all that is in the outbox was heard."""
    heard = listener.readings()
    return all(seqs <= heard.get(key, {}).keys() for key, seqs in kept(outbox).items())


async def test_every_line_and_every_message_is_what_it_should_be(broker: Broker, tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{broker.port}"
    arguments = ("demo", "--json", "--broker", url, "--dir", str(tmp_path))
    async with listening(broker.port) as listener:
        async with edge_agent(*arguments) as program:
            await program.says(lambda told: {one["device"] for one in told} == _DEVICES and len(told) > 50)
            program.process.terminate()
            code, out, err = await program.over()
        assert code == 0, err
        readings, last = summary(out)
        await listener.until(lambda: _complete(listener, tmp_path / "outbox.db"))
        await listener.until(lambda: listener.of("status")[-1].payload["state"] == "stopped")
        for heard in listener.heard:
            _validated(heard)
        assert last["kept"] == last["acknowledged"] == len(readings), err
        assert last["backlog"] == last["lost"] == 0
        assert set(last["devices"]) == _DEVICES
        arrived = listener.readings()
        one_identity_each(arrived)
        for device, status in last["devices"].items():
            assert status["availability"] == "online"
            epoch = next(reading["epoch"] for reading in readings if reading["device"] == device)
            assert sorted(arrived[device, epoch]) == list(range(1, status["seq"] + 1))
            for reading in (one for one in readings if one["device"] == device):
                item = arrived[device, epoch][reading["seq"]]
                assert (reading["ts"], reading["values"]) == (item["ts"], item["values"])
        assert {heard.topic.split("/")[2] for heard in listener.heard} == {SITE}


async def test_five_kills_lose_nothing_that_was_kept(broker: Broker, tmp_path: Path) -> None:
    """SIGKILL at any instant; a start on the same folder goes on where the disk was."""
    url = f"mqtt://127.0.0.1:{broker.port}"
    chance = random.Random(7)
    known: dict[tuple[str, str], set[int]] = {}
    async with listening(broker.port) as listener:
        for _ in range(5):
            async with edge_agent("demo", "--broker", url, "--dir", str(tmp_path)) as program:
                await asyncio.sleep(chance.uniform(2.5, 6))
                program.process.kill()
                await program.process.communicate()
            now = kept(tmp_path / "outbox.db")
            assert all(now.get(key, set()) >= seqs for key, seqs in known.items()), "the disk forgot"
            known = now
        async with edge_agent(
            "demo", "--for", "4s", "--json", "--broker", url, "--dir", str(tmp_path)
        ) as program:
            code, out, err = await program.over()
        assert code == 0, err
        _, last = summary(out)
        assert last["backlog"] == last["lost"] == 0, err
        await listener.until(lambda: _complete(listener, tmp_path / "outbox.db"))
        arrived = listener.readings()
        one_identity_each(arrived)
        assert {device for device, _ in arrived} <= _DEVICES  # a beacon may not have spoken in so short lives
        assert len({epoch for _, epoch in arrived}) == 1, "a kill opens no new epoch"
        for (device, _), items in arrived.items():
            assert sorted(items) == list(range(1, last["devices"][device]["seq"] + 1))
        sessions = [
            heard.payload["session"] for heard in listener.of("status") if heard.payload["state"] == "online"
        ]
        assert sorted(set(sessions)) == list(range(1, max(sessions) + 1))


async def test_an_outage_fills_history_and_live_goes_on(tmp_path: Path) -> None:
    """When the agent comes back is chance: it runs until all of the outage was heard, and some after it."""
    arguments = ("demo", "--outage", "5s", "--json", "--dir", str(tmp_path))
    async with edge_agent(*arguments, before=_SOONER) as program:
        async with asyncio.timeout(60):
            while not (tmp_path / "agent.toml").exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
        port = int((tmp_path / "broker.port").read_text())
        password = (tmp_path / "secrets" / "demo-broker").read_text()
        async with listening(port, "-u", "demo", "-P", password) as listener:
            await listener.until(lambda: _after_an_outage(listener, tmp_path / "outbox.db"), 80)
            program.process.terminate()
            code, out, err = await program.over()
    assert code == 0, err
    readings, last = summary(out)
    assert last["backlog"] == last["lost"] == 0, err
    assert last["kept"] == last["acknowledged"]
    one_identity_each(listener.readings())
    assert {heard.payload["lane"] for heard in listener.of("history")} == {"history"}
    late, live = _instants(listener, "history"), _instants(listener, "data")
    assert min(live) < min(late), "live came before it"
    printed = {(reading["device"], reading["seq"]) for reading in readings}
    assert printed == {
        (device, seq) for device, status in last["devices"].items() for seq in range(1, status["seq"] + 1)
    }
    backlogs = [heard.payload["backlog"] for heard in listener.of("status")]
    assert max(backlogs) > 5, "the status after the outage told of it"


def _instants(listener: Listener, kind: str) -> list[int]:
    return [item["ts"] for heard in listener.of(kind) for item in heard.payload["readings"]]


def _after_an_outage(listener: Listener, outbox: Path) -> bool:
    """Say whether history came, live that is later than it, and with both all that was kept until now."""
    late, live = _instants(listener, "history"), _instants(listener, "data")
    return bool(late and max(live) > max(late) and _complete(listener, outbox))


async def test_without_mosquitto_the_demo_brings_its_own_broker(tmp_path: Path) -> None:
    async with edge_agent(
        "demo", "--for", "6s", "--json", "--dir", str(tmp_path), before=NO_MOSQUITTO
    ) as program:
        code, out, err = await program.over()
    assert code == 0, err
    readings, last = summary(out)
    assert 'protocol = "3.1.1"' in (tmp_path / "agent.toml").read_text("utf-8")
    assert last["kept"] == last["acknowledged"] == len(readings) > 0, err
    assert last["backlog"] == last["lost"] == 0
