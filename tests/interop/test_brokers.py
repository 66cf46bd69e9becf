"""The whole journey over brokers of others: sensors on ttys, the agent, a broker that dies, two consumers.

A second gateway has a backlog when the broker is killed in the middle of draining it; then its link is cut.
Whatever a broker acknowledged and lost is asked for again, so that in the end every reading has arrived.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_agent.demo import config
from tests.faults.broker import running as mosquitto_running
from tests.faults.proxy import Proxy
from tests.faults.rig import Gateways
from tests.interop import brokers
from tests.interop.agent import agent, readings
from tests.interop.consumers import Consumer, mqtt_js, watching

pytestmark = pytest.mark.interop
_RATE = 400  # readings a second and device, of the second gateway
_BACKLOG = 6000
_THIN = 60_000  # bytes a second, so that the broker dies in the middle of it
Act = Callable[[], Awaitable[None]]
Record = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Standing:
    """A broker that runs, and how to end it at once and to start it again."""

    port: int
    start: Act
    kill: Act


@dataclass(frozen=True, slots=True)
class Case:
    """A broker as a test wants it."""

    name: str
    protocol: str
    says: str  # what the agent speaks in the end
    user: str = ""


CASES = [
    Case("mosquitto", "auto", "5"),
    Case("mosquitto", "3.1.1", "3.1.1"),
    Case("ejabberd", "auto", "5", "gw-01"),
    Case("rabbitmq", "auto", "3.1.1"),
    Case("nats", "auto", "3.1.1"),
]


@asynccontextmanager
async def _standing(name: str, folder: Path) -> AsyncIterator[Standing]:
    async with AsyncExitStack() as stack:
        if name == "mosquitto":
            broker = await stack.enter_async_context(mosquitto_running(folder))
            yield Standing(broker.port, broker.start, broker.stop)
            return
        if name == "rabbitmq":
            served = brokers.rabbitmq(folder, await stack.enter_async_context(brokers.epmd(folder)))
        else:
            served = {"nats": brokers.nats, "ejabberd": brokers.ejabberd}[name](folder)
        stack.push_async_callback(served.kill)
        await served.start()
        yield Standing(served.port, served.start, served.kill)


async def _mended(consumer: Consumer, outbox: Path, base: str) -> int:
    """Ask for what a broker acknowledged and nobody got, until it is there; return how much that was."""
    lost = 0
    for _ in range(10):
        rows = readings(outbox)
        missing = {key: seqs - consumer.heard[key] for key, seqs in rows.items()}
        if not any(missing.values()):
            return lost
        await asyncio.sleep(2)  # some of it is on its way
        missing = {key: seqs - consumer.heard[key] for key, seqs in missing.items()}
        lost = max(lost, sum(map(len, missing.values())))
        for key, seqs in missing.items():
            if seqs:
                await consumer.ask(base, key, seqs)
        await asyncio.sleep(2)
    pytest.fail(f"still missing: {missing}; answers {consumer.answers[-3:]}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.protocol}")
@pytest.mark.timeout(240)
async def test_the_whole_journey_and_an_outage(case: Case, tmp_path: Path, record: Record) -> None:
    place = tmp_path / "gateway"
    place.mkdir()
    gateways = Gateways(tmp_path)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(_standing(case.name, tmp_path))
        link = await stack.enter_async_context(Proxy(broker.port))
        level = "5" if case.says == "5" else "4"
        consumer = await stack.enter_async_context(mqtt_js(broker.port, level, case.user))
        follower = await stack.enter_async_context(watching(broker.port, case.says, case.user))
        lines = f'protocol = "{case.protocol}"\ncommands = true\nack_timeout = "3s"'
        program = await stack.enter_async_context(agent(place, broker.port, lines=lines, user=case.user))
        stack.push_async_callback(gateways.close)
        await consumer.until(lambda: len(consumer.heard) == 4 and consumer.count > 8, 90)
        async with asyncio.timeout(30):
            while follower.readings.total <= 4:  # noqa: ASYNC110 - it is told on another thread
                await asyncio.sleep(0.05)
        await link.refuse()
        user = f'username = "{case.user}"\npassword = "x"\n' if case.user else ""
        second = gateways.gateway(link.port, rate=_RATE, gateway="gw-02", uplink=f"commands = true\n{user}")
        (file,) = second.configs
        file.write_text(
            file.read_text("utf-8").replace('protocol = "5"', f'protocol = "{case.says}"'), "utf-8"
        )
        await second.start()
        await second.until(lambda said: said["kept"] > _BACKLOG, 60)
        link.rate = _THIN
        await link.listen()
        before = consumer.count
        await consumer.until(lambda: consumer.count > before + _BACKLOG // 10, 60)
        assert second.said["uplinks"][0]["backlog"] > _BACKLOG // 10, "in the middle of it"
        await broker.kill()
        await asyncio.sleep(4)
        link.rate = None
        await broker.start()
        await second.connected(90)
        await link.cut()
        await second.drained(90)
        base = "park/v1/east-park/gw-02"
        lost = await _mended(consumer, second.outbox, base)
        behind = await _mended(consumer, place / "outbox.db", f"park/v1/{config.SITE}/{config.GATEWAY}")
        assert await second.stop() == 0
        program.process.send_signal(signal.SIGTERM)
        code, _, err = await program.over(20)
        assert code == 0, err
        assert f"MQTT {case.says}" in err
        assert "Traceback" not in err
        rows = {**readings(place / "outbox.db"), **readings(second.outbox)}
        await consumer.until(lambda: all(seqs <= consumer.heard[key] for key, seqs in rows.items()), 30)
        assert {key: seqs for key, seqs in consumer.heard.items() if seqs - rows[key]} == {}
        assert consumer.refused == []
        record(
            f"{case.name}, MQTT {case.says}",
            kept=sum(map(len, rows.values())),
            arrived=consumer.count,
            again=consumer.again,
            acknowledged_and_lost_then_replayed=lost + behind,
        )
