"""What makes Home Assistant find a gateway's devices by itself, over ``state`` and ``status``. Pure.

One retained message for each device. Source: Home Assistant's documentation, "MQTT" (device discovery, since
2024.11), "Sensor" and "Binary sensor" (device classes). There is no ``expire_after``: that a device fell
silent is told by its ``state``, that a gateway is gone by its will, and a slow device is not dead.
"""

import re
from typing import Any, NamedTuple

import orjson

from edge_agent.contract.topics import MONTH_S
from edge_agent.quantity import Quantity
from edge_agent.uplink.interfaces import Gateway
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.topics import Topics

Q = Quantity


class Shown(NamedTuple):
    """How a quantity is shown: its unit, device class and state class there; "" where there is none."""

    unit: str = ""
    device_class: str = ""
    state_class: str = "measurement"


class Switch(NamedTuple):
    """A yes or no, with its device class there."""

    device_class: str = ""


SHOWN: dict[str, Shown | Switch] = {
    Q.TEMPERATURE: Shown("°C", "temperature"),
    Q.HUMIDITY: Shown("%", "humidity"),
    Q.PRESSURE: Shown("hPa", "atmospheric_pressure"),
    Q.ILLUMINANCE: Shown("lx", "illuminance"),
    Q.CO2: Shown("ppm", "carbon_dioxide"),
    Q.PM2_5: Shown("µg/m³", "pm25"),
    Q.PM10: Shown("µg/m³", "pm10"),
    Q.TVOC: Shown("µg/m³", "volatile_organic_compounds"),
    Q.MOISTURE: Shown("%", "moisture"),
    Q.CONDUCTIVITY: Shown("µS/cm", "conductivity"),
    Q.PRECIPITATION: Shown("mm", "precipitation"),
    Q.INDEX: Shown(),
    Q.VOLTAGE: Shown("V", "voltage"),
    Q.CURRENT: Shown("A", "current"),
    Q.POWER: Shown("W", "power"),
    Q.APPARENT_POWER: Shown("VA", "apparent_power"),
    Q.REACTIVE_POWER: Shown("var", "reactive_power"),
    Q.POWER_FACTOR: Shown("", "power_factor"),
    Q.FREQUENCY: Shown("Hz", "frequency"),
    Q.ENERGY_IMPORT: Shown("kWh", "energy", "total_increasing"),
    Q.ENERGY_EXPORT: Shown("kWh", "energy", "total_increasing"),
    Q.ENERGY_TOTAL: Shown("kWh", "energy", "total_increasing"),
    Q.REACTIVE_ENERGY_IMPORT: Shown("kvarh", "", "total_increasing"),
    Q.REACTIVE_ENERGY_EXPORT: Shown("kvarh", "", "total_increasing"),
    Q.OCCUPANCY: Switch("occupancy"),
    Q.MOTION: Switch("motion"),
    Q.CONTACT: Switch("opening"),
    Q.TARGET_STATE: Shown("", "", ""),
    Q.DISTANCE: Shown("m", "distance"),
    Q.POSITION_X: Shown("m", "distance"),
    Q.POSITION_Y: Shown("m", "distance"),
    Q.SPEED: Shown("m/s", "speed"),
    Q.LEVEL: Shown("%"),
    Q.ACCELERATION: Shown("m/s²"),
    Q.ANGLE: Shown("°"),
    Q.TURNING: Shown("°/s"),
    Q.MASS: Shown("kg", "weight"),
    Q.VOLUME: Shown("m³", "volume", "total"),
    Q.FLOW: Shown("m³/h", "volume_flow_rate"),
    Q.DURATION: Shown("s", "duration"),
    Q.FLAG: Switch(),
    Q.ALARM: Switch("problem"),
    Q.EVENT: Shown("", "", ""),
    Q.BATTERY: Shown("%", "battery"),
    Q.BATTERY_VOLTAGE: Shown("V", "voltage"),
    Q.SIGNAL: Shown("dBm", "signal_strength"),
    Q.COUNT: Shown(),
}

NAMED: dict[str, Shown | Switch] = {
    "battery_charging": Switch("battery_charging"),
    "battery_low": Switch("battery"),
    "carbon_monoxide": Switch("carbon_monoxide"),
    "cold": Switch("cold"),
    "connectivity": Switch("connectivity"),
    "gas": Shown("m³", "gas", "total_increasing"),
    "gas_detected": Switch("gas"),
    "heat": Switch("heat"),
    "light": Switch("light"),
    "lock": Switch("lock"),
    "plug": Switch("plug"),
    "power_on": Switch("power"),
    "problem": Switch("problem"),
    "running": Switch("running"),
    "safety": Switch("safety"),
    "smoke": Switch("smoke"),
    "sound": Switch("sound"),
    "tamper": Switch("tamper"),
    "vibration": Switch("vibration"),
    "volume_storage": Shown("m³", "volume_storage"),
    "water": Shown("m³", "water", "total_increasing"),
    "wet": Switch("moisture"),
}
"""Channels of the quantities flag and volume whose name says more than their quantity."""

_DIAGNOSTIC = {Q.BATTERY, Q.BATTERY_VOLTAGE, Q.SIGNAL}
_GATEWAY = "GATEWAY"  # no id has capitals


def device(topics: Topics, gateway: Gateway, id_: str) -> Outgoing:
    """Return what makes a device appear, with an entity for each of its channels."""
    meta = orjson.loads(gateway.metas[id_])
    mine = f"{gateway.site}/{gateway.id}/{id_}"
    whole = {
        "device": {
            "identifiers": [mine],
            "name": meta.get("name") or id_,
            "model": meta.get("model"),
            "suggested_area": meta.get("place"),
            "via_device": f"{gateway.site}/{gateway.id}",
        },
        "origin": _origin(gateway),
        "availability": [
            {
                "topic": topics.status,
                "value_template": "{{ 'online' if value_json.state == 'online' else 'offline' }}",
            },
            {
                "topic": topics.state(id_),  # late is not offline: its values still hold
                "value_template": "{{ 'offline' if value_json.availability == 'offline' else 'online' }}",
            },
        ],
        "availability_mode": "all",
        "state_topic": topics.state(id_),
        "qos": 1,
        "components": {
            name: _entity(f"{mine}/{name}", name, channel) for name, channel in meta["channels"].items()
        },
    }
    return _outgoing(topics, gateway, id_, whole)


def gateway_itself(topics: Topics, gateway: Gateway) -> Outgoing:
    """Return what makes the gateway appear, through which its devices are connected."""
    mine = f"{gateway.site}/{gateway.id}"
    whole = {
        "device": {
            "identifiers": [mine],
            "name": gateway.id,
            "model": "edge-agent",
            "sw_version": gateway.version,
        },
        "origin": _origin(gateway),
        "components": {
            "status": {
                "platform": "binary_sensor",
                "unique_id": f"{mine}/status",
                "name": "Connection",
                "device_class": "connectivity",
                "entity_category": "diagnostic",
                "state_topic": topics.status,
                "value_template": "{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
            }
        },
        "qos": 1,
    }
    return _outgoing(topics, gateway, _GATEWAY, whole)


def topic(topics: Topics, gateway: Gateway, id_: str) -> str:
    """Return where a device is announced; the capitals keep apart what ids cannot hold."""
    return f"{topics.discovery}/device/{gateway.id}/{id_}_AT_{gateway.site}/config"


def _entity(unique_id: str, name: str, channel: dict[str, Any]) -> dict[str, Any]:
    quantity = channel["quantity"]
    made: dict[str, Any] = {
        "unique_id": unique_id,
        "name": channel.get("name") or name.replace("_", " ").capitalize(),
    }
    shown = SHOWN[quantity]
    if quantity in {Q.FLAG, Q.VOLUME}:
        shown = NAMED.get(re.sub(r"_\d+$", "", name), shown)
    match shown:
        case Switch(device_class):
            made["platform"] = "binary_sensor"
            made["value_template"] = f"{{{{ value_json.get('{name}') | iif('ON', 'OFF', 'None') }}}}"
        case Shown(unit, device_class, state_class):
            made["platform"] = "sensor"
            made["value_template"] = f"{{{{ value_json.get('{name}') }}}}"  # None is: not known
            made["unit_of_measurement"] = unit or None
            made["state_class"] = state_class or None
    made["device_class"] = device_class or None
    made["entity_category"] = "diagnostic" if quantity in _DIAGNOSTIC else None
    return {key: value for key, value in made.items() if value is not None}


def _origin(gateway: Gateway) -> dict[str, str]:
    return {"name": "edge-agent", "sw_version": gateway.version}


def _outgoing(topics: Topics, gateway: Gateway, id_: str, whole: dict[str, Any]) -> Outgoing:
    whole["device"] = {key: value for key, value in whole["device"].items() if value is not None}
    return Outgoing(topic(topics, gateway, id_), orjson.dumps(whole), retain=True, expiry=MONTH_S)
