"""What Home Assistant is told: held against its own constants, and heard behind a real mosquitto.

homeassistant_facts.json is what tests/interop/hass.py printed of the version that it names; `make interop`
holds it against a real one.
"""

import asyncio
import json
from pathlib import Path

import pytest

from edge_agent.quantity import Quantity
from edge_agent.uplink.dialects.homeassistant import NAMED, SHOWN, Shown, Switch
from tests.faults.broker import running as broker_running
from tests.uplink.rig import BASE, DEVICES, Heard, listening, running, settings

_FACTS = json.loads(Path(__file__).with_name("homeassistant_facts.json").read_text("utf-8"))
_UNITLESS = {"power_factor": ""}


@pytest.mark.parametrize("name", [*Quantity, *NAMED])
def test_what_is_shown_is_what_it_knows(name: str) -> None:
    match NAMED.get(name) or SHOWN[name]:
        case Switch(device_class):
            assert not device_class or device_class in _FACTS["binary_sensor"]
        case Shown(unit, device_class, state_class) if device_class:
            fact = _FACTS["sensor"][device_class]
            assert unit in fact["units"] or unit == _UNITLESS.get(device_class)
            assert not state_class or state_class in fact["state_classes"]
        case Shown(_, _, state_class):
            assert state_class in {"", "measurement", "total_increasing"}


@pytest.mark.parametrize("quantity", list(Quantity))
def test_a_unit_is_the_same_unit_in_other_letters(quantity: Quantity) -> None:
    letters = {
        "Cel": "°C", "[ppm]": "ppm", "ug/m3": "µg/m³", "uS/cm": "µS/cm", "V.A": "VA", "kW.h": "kWh", "1": "",
        "kvar.h": "kvarh", "m/s2": "m/s²", "deg": "°", "deg/s": "°/s", "m3": "m³", "m3/h": "m³/h",
    }  # fmt: skip
    shown = SHOWN[quantity]
    assert isinstance(shown, Switch) or shown.unit == letters.get(quantity.unit, quantity.unit)


def _configs(heard: list[Heard]) -> dict[str, Heard]:
    return {
        one.topic.split("/")[3]: one for one in heard if one.topic.startswith("homeassistant/device/gw-01/")
    }


async def test_devices_are_announced_and_retained(tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker") as broker:
        own = settings(broker.port, dialects=["homeassistant"])
        async with running(tmp_path, own) as rig:
            rig.keep(10)
            await rig.drained()
        async with listening(broker.port) as late:
            await late.until(lambda: len(_configs(late.heard)) == len(DEVICES) + 1)
            heard = _configs(late.heard)
    assert set(heard) == {"GATEWAY_AT_east-park", *(f"{id_}_AT_east-park" for id_ in DEVICES)}
    assert all(one.retained for one in heard.values())
    told = heard["meter-7_AT_east-park"].payload
    assert told["device"] == {
        "identifiers": ["east-park/gw-01/meter-7"],
        "name": "meter-7",
        "via_device": "east-park/gw-01",
    }
    assert told["state_topic"] == f"{BASE}/state/meter-7"
    assert [one["topic"] for one in told["availability"]] == [f"{BASE}/status", f"{BASE}/state/meter-7"]
    assert told["components"] == {
        "power": {
            "platform": "sensor",
            "unique_id": "east-park/gw-01/meter-7/power",
            "name": "Power",
            "device_class": "power",
            "state_class": "measurement",
            "unit_of_measurement": "W",
            "value_template": "{{ value_json.get('power') }}",
        }
    }


async def test_another_name_is_announced_at_once(tmp_path: Path) -> None:
    async with (
        broker_running(tmp_path / "broker") as broker,
        listening(broker.port) as listener,
        running(tmp_path, settings(broker.port, dialects=["homeassistant"])) as rig,
    ):
        await listener.until(lambda: len(_configs(listener.heard)) == len(DEVICES) + 1)
        meta = json.loads(rig.gateway.metas[DEVICES[0]]) | {"name": "Hall B feed"}
        rig.uplink.describe({**rig.gateway.metas, DEVICES[0]: json.dumps(meta)}, {})
        topic = f"{DEVICES[0]}_AT_east-park"
        await listener.until(
            lambda: _configs(listener.heard)[topic].payload["device"]["name"] == "Hall B feed"
        )


async def test_nothing_is_announced_unasked(tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker") as broker, listening(broker.port) as listener:
        async with running(tmp_path, settings(broker.port)) as rig:
            rig.keep(10)
            await rig.drained()
        await listener.until(lambda: listener.of("history") or listener.of("data"))
        assert _configs(listener.heard) == {}


async def test_a_device_that_was_removed_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.uplink.sending._HEALTH_EVERY_S", 0.2)
    gone = DEVICES[1]
    async with broker_running(tmp_path / "broker") as broker:
        own = settings(broker.port, dialects=["homeassistant"])
        async with running(tmp_path, own) as rig:
            rig.keep(3, gone)
            await rig.drained()
        async with listening(broker.port) as listener:
            await listener.until(lambda: f"{gone}_AT_east-park" in _configs(listener.heard))
        async with running(tmp_path, own, start=False) as rig:
            metas = {device: meta for device, meta in rig.gateway.metas.items() if device != gone}
            object.__setattr__(rig.gateway, "metas", metas)
            runs = asyncio.create_task(rig.uplink.run())
            await rig.connected()
            assert rig.uplink._sending
            said = rig.uplink._sending._announcements
            await rig.until(lambda: gone in said._retired and not said.urgent)
            await rig.uplink.stop(30)
            await runs
        async with listening(broker.port, "-i", "late") as late:
            await late.until(lambda: f"{DEVICES[0]}_AT_east-park" in _configs(late.heard))
            assert set(_configs(late.heard)) == {"GATEWAY_AT_east-park", f"{DEVICES[0]}_AT_east-park"}
