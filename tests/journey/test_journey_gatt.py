"""A device that is connected to, in a whole agent: read on schedule, and again after bluetoothd died."""

import asyncio
import itertools
from pathlib import Path

import pytest

from edge_agent.demo.bluez.air import Characteristic, Peripheral
from edge_agent.demo.bluez.daemon import FakeBlueZ
from edge_agent.driver import service
from tests.bluez import HUMIDITY, MAC, said
from tests.faults.broker import running as broker_running
from tests.journey.programs import edge_agent
from tests.uplink.rig import Listener, listening

pytestmark = pytest.mark.xdist_group("journey")

_OFTEN = """
from edge_agent.collect import radio_tasks
radio_tasks._FIRST_WITHIN = radio_tasks._SHORTEST_INTERVAL = 0.3
"""
_CONFIG = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
[outbox]
path = "{folder}/outbox.db"
window = "100ms"
[clock]
trust = "always"
[uplink.city]
servers = ["mqtt://127.0.0.1:{port}"]
spread = "0s"
[bus.radio]
ble = "hci0"
[device.cellar]
driver = "ess"
bus = "radio"
settings = {{ address = "{address}" }}
interval = "1s"
"""


def _humidities(listener: Listener) -> list[float]:
    return [
        item["values"]["humidity"]
        for (id_, _), known in listener.readings().items()
        if id_ == "cellar"
        for _, item in sorted(known.items())
        if "humidity" in item["values"]
    ]


async def _broadcast(bluez: FakeBlueZ, device: Peripheral) -> None:
    for number in itertools.count():
        bluez.world.advertise(device, services=said(number % 1000))
        await asyncio.sleep(0.1)


async def test_a_device_is_connected_to_and_read(bluez: FakeBlueZ, tmp_path: Path) -> None:
    """It has a humidity, which rises by 1 % with each reading, and no other characteristic."""
    steps = itertools.count(3000, 100)
    humidity = Characteristic(HUMIDITY, lambda: next(steps).to_bytes(2, "little"))
    device = bluez.world.add_peripheral(Peripheral(MAC, "cellar", {service(0x181A): [humidity]}))
    async with broker_running(tmp_path / "broker") as broker, listening(broker.port) as listener:
        file = tmp_path / "agent.toml"
        file.write_text(_CONFIG.format(folder=tmp_path, port=broker.port, address=MAC), "utf-8")
        async with edge_agent("run", "--config", str(file), before=_OFTEN) as program:
            talking = asyncio.create_task(_broadcast(bluez, device))
            try:
                await listener.until(lambda: len(_humidities(listener)) >= 2, 60)
                await bluez.crash()
                await bluez.start()
                before = len(_humidities(listener))
                await listener.until(lambda: len(_humidities(listener)) >= before + 2, 60)
            finally:
                talking.cancel()
            program.process.terminate()
            code, _, log = await program.over()
    assert code == 0, log
    found = _humidities(listener)
    assert found[0] == 30.0
    assert found == sorted(set(found)), "each reading is one more"
    assert "cellar online" in log
    assert "Traceback" not in log
