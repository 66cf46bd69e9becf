"""Two RabbitMQ nodes, one of which is killed: `servers` is tried in turn, and nothing is lost."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop import brokers
from tests.interop.agent import agent, readings
from tests.interop.consumers import mqtt_js

pytestmark = pytest.mark.interop


@pytest.mark.timeout(240)
async def test_one_of_two_nodes_is_stopped(tmp_path: Path, record: Callable[..., None]) -> None:
    place = tmp_path / "gateway"
    place.mkdir()
    async with brokers.epmd(tmp_path) as names:
        first = brokers.rabbitmq(tmp_path, names, "a", others=("b",))
        second = brokers.rabbitmq(tmp_path, names, "b", others=("a",))
        try:
            await first.start()  # in turn: at once, its MQTT plugin may end up without a leader
            await second.start()
            async with mqtt_js(second.port, "4", "") as consumer:
                lines = 'protocol = "3.1.1"\nack_timeout = "3s"'
                async with agent(place, first.port, second.port, lines=lines) as program:
                    await consumer.until(lambda: consumer.count > 10, 90)
                    await first.kill()
                    before = consumer.count
                    await consumer.until(lambda: consumer.count > before + 10, 60)
                    program.process.send_signal(signal.SIGTERM)
                    code, _, err = await program.over(20)
                    assert code == 0, err
                    assert err.count(f"connected to mqtt://127.0.0.1:{second.port}") == 1, err
                    rows = readings(place / "outbox.db")
                    await consumer.until(lambda: all(s <= consumer.heard[key] for key, s in rows.items()), 30)
                    record(
                        "rabbitmq, two nodes, MQTT 3.1.1",
                        kept=sum(map(len, rows.values())),
                        arrived=consumer.count,
                        again=consumer.again,
                    )
        finally:
            await first.kill()
            await second.kill()
