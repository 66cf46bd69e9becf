"""What ``doctor`` proves of a broker's ACL, at a real mosquitto, and that nobody notices the visit."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.consume.subscriber import Login, Subscriber
from edge_agent.contract.follow import Follower
from edge_agent.contract.topics import TOPICS
from edge_agent.doctor.broker import brokers
from edge_agent.doctor.finding import Finding
from edge_agent.settings.field_types import Server
from edge_agent.settings.model import Config
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.uplink.rig import BASE, GATEWAY, SITE, running, settings

SAMPLE = Path(__file__).parents[2] / "config" / "mosquitto" / "acl"
WRITE = ("status", "health", "meta/#", "state/#", "data/#", "history/#", "loss/#", "event/#", "reply/#")
RIGHT = (
    *(f"topic write {BASE}/{below}" for below in WRITE),
    f"topic read {BASE}/status",
    f"topic read {BASE}/cmd/#",
)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker", acl=True) as served:
        yield served


def config(broker: Broker, **uplink: Any) -> Config:
    uplinks = {"city": {"servers": [f"mqtt://127.0.0.1:{broker.port}"]} | uplink}
    return Config.model_validate({"config": 1, "gateway": {"site": SITE, "id": GATEWAY}, "uplink": uplinks})


async def found(config: Config) -> dict[str, Finding]:
    return {one.what: one for one in await asyncio.to_thread(lambda: list(brokers(config)))}


async def test_the_acl_of_the_contract_is_all_right(broker: Broker) -> None:
    broker.allow(*RIGHT)
    await broker.reload()
    told = await found(config(broker))
    assert {one.level for one in told.values()} == {"OK"}, told
    assert told["write elsewhere"].says == "refused: own commands, another gateway's topics"
    assert told[f"write and read {BASE}/status"].says == "it comes back"


async def test_the_sample_that_is_shipped_is_all_right(broker: Broker) -> None:
    """An uplink with the gateway's user, at a broker with config/mosquitto/acl."""
    broker.allow(*SAMPLE.read_text("ascii").splitlines())
    await broker.reload()
    told = await found(config(broker, username=GATEWAY))
    assert {one.level for one in told.values()} == {"OK"}, told


@pytest.mark.parametrize(
    ("rules", "what", "level", "says"),
    [
        (
            ("topic readwrite #",),
            "write elsewhere",
            "WARN",
            f"{BASE}/cmd/doctor-check and park/v1/{SITE}/doctor",
        ),
        (RIGHT[:4] + RIGHT[5:], f"write below {BASE}", "FAIL", "refuses data"),
        (RIGHT[1:], f"write {BASE}/status", "FAIL", "refuses"),
        ((*RIGHT[:-2], RIGHT[-1]), f"write and read {BASE}/status", "FAIL", "does not come back"),
    ],
)
async def test_a_wrong_acl_is_told(
    broker: Broker, rules: tuple[str, ...], what: str, level: str, says: str
) -> None:
    broker.allow(*rules)
    await broker.reload()
    told = (await found(config(broker)))[what]
    assert told.level == level
    assert says in told.says
    assert told.remedy


async def test_what_3_1_1_cannot_say_is_said(broker: Broker) -> None:
    broker.allow(*RIGHT)
    await broker.reload()
    told = await found(config(broker, protocol="3.1.1"))
    assert told[f"write and read {BASE}/status"].level == "OK"
    assert told[f"write below {BASE}"].level == "WARN"
    broker.allow(*RIGHT[1:])
    await broker.reload()
    assert (await found(config(broker, protocol="3.1.1")))[f"write and read {BASE}/status"].level == "FAIL"


async def test_an_open_broker_shows_other_gateways(broker: Broker, tmp_path: Path) -> None:
    neighbour = settings(broker.port)
    async with running(tmp_path / "outbox.db", neighbour) as rig:
        await rig.connected()
        told = await found(
            config(broker).model_copy(
                update={
                    "gateway": Config.model_validate(
                        {"config": 1, "gateway": {"site": SITE, "id": "gw-02"}}
                    ).gateway
                }
            )
        )
    assert told["read elsewhere"].level == "WARN"
    assert BASE in told["read elsewhere"].says


async def test_a_running_agent_does_not_notice(broker: Broker, tmp_path: Path) -> None:
    """Its session goes on, its status stays what it was, and its readings go out meanwhile."""
    async with running(tmp_path / "outbox.db", settings(broker.port)) as rig:
        await rig.connected()
        rig.keep(5)
        before = rig.uplink.status()
        told = await found(config(broker))
        rig.keep(5)
        await rig.drained()
        after = rig.uplink.status()
    assert told[f"write and read {BASE}/status"].level == "OK"
    assert (after.connected, after.problem, after.acknowledged) == (True, before.problem, 10)
    log = broker.log.read_text()
    assert log.count("as gw-01 (") == 1


async def test_a_consumer_loses_nothing_by_it(broker: Broker, tmp_path: Path) -> None:
    """A backend that follows what gateways send hears of nobody gone, and of nothing that is wrong."""
    broker.allow(*RIGHT, "topic read park/v1/#")
    await broker.reload()
    follower = Follower()

    def hear(topic: str, payload: bytes) -> None:
        follower.hear(topic, payload, 0)

    consumer = Subscriber(
        Login(Server("127.0.0.1", broker.port, tls=False)),
        [f"{BASE}/{topic.name}/#" for topic in TOPICS if topic.below != "name"],
        hear,
        lambda: None,
        lambda _text: None,
    )
    async with running(tmp_path / "outbox.db", settings(broker.port)) as rig:
        await rig.connected()
        await asyncio.to_thread(consumer.open)
        try:
            told = await found(config(broker))
            rig.keep(1)
            await rig.drained()
        finally:
            await asyncio.to_thread(consumer.close)
    assert told[f"write and read {BASE}/status"].level == "OK"
    assert follower.gateways[GATEWAY].latest.state == "online"
    assert (follower.counts.readings, follower.counts.refused) == (1, 0)


async def test_a_broker_that_is_not_there(broker: Broker) -> None:
    await broker.stop()
    (told,) = (await found(config(broker))).values()
    assert (told.level, told.remedy) == ("FAIL", "check the network and the address")
