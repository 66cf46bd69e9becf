"""A real Home Assistant with its MQTT integration and nothing else, run by a Python that has it.

``python hass.py FOLDER BROKER-PORT HTTP-PORT``: on each line that it reads it prints one JSON object, its
``devices`` and its ``entities`` with their states. ``python hass.py facts`` prints what its classes
allow.
"""

import asyncio
import json
import sys

from homeassistant import bootstrap, config_entries, loader
from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.setup import async_setup_component


def _say(told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _facts() -> dict[str, object]:

    return {
        "homeassistant": __version__,
        "sensor": {
            str(name): {
                "units": sorted(str(unit or "") for unit in units),
                "state_classes": sorted(map(str, DEVICE_CLASS_STATE_CLASSES.get(name, ()))),
            }
            for name, units in DEVICE_CLASS_UNITS.items()
        },
        "binary_sensor": sorted(map(str, BinarySensorDeviceClass)),
    }


async def _main(folder: str, port: int, http_port: int) -> None:

    hass = HomeAssistant(folder)
    hass.config.skip_pip = True
    loader.async_setup(hass)
    http = {"http": {"server_host": "127.0.0.1", "server_port": http_port}}
    hass.config_entries = config_entries.ConfigEntries(hass, http)
    await loader.async_get_custom_components(hass)
    await bootstrap.async_load_base_functionality(hass)
    await async_setup_component(hass, "homeassistant", {})
    await async_process_ha_core_config(hass, {})
    assert await async_setup_component(hass, "http", http)
    entry = config_entries.ConfigEntry(
        data={"broker": "127.0.0.1", "port": port, "discovery": True, "discovery_prefix": "homeassistant"},
        discovery_keys={}, domain="mqtt", minor_version=2, options={}, source="user", subentries_data=(),
        title="mqtt", unique_id=None, version=1,
    )  # fmt: skip
    await hass.config_entries.async_add(entry)
    await hass.async_start()
    _say({"state": str(entry.state)})
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        await hass.async_block_till_done()
        known = device_registry.async_get(hass).devices
        told = {
            "devices": [
                {
                    "identifiers": sorted(identifier for _, identifier in device.identifiers),
                    "name": device.name,
                    "model": device.model,
                    "via": sorted(i for _, i in known[device.via_device_id].identifiers)
                    if device.via_device_id
                    else None,
                }
                for device in known.values()
            ],
            "entities": {
                entity.unique_id: {
                    "state": state.state,
                    "attributes": {key: str(value) for key, value in state.attributes.items()},
                }
                for entity in entity_registry.async_get(hass).entities.values()
                if (state := hass.states.get(entity.entity_id)) is not None
            },
        }
        _say(told)
    await hass.async_stop(force=True)


if __name__ == "__main__":
    if sys.argv[1] == "facts":
        _say(_facts())
    else:
        asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
