"""Descriptions: what a device is, under a hash that changes when, and only when, anything of it does."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.device_description import describe
from edge_agent.contract.messages import MetaMessage
from edge_agent.settings.load import load
from edge_agent.settings.resolve import chosen
from edge_agent.uplink.payload import Description

_CONFIG = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
[outbox]
path = "{folder}/outbox.db"
[bus.a]
port = "/dev/null"
[device.meter-7]
driver = "modbus"
bus = "a"
settings = {{ profile = "eastron_sdm120", address = 1 }}
{more}
"""


def _described(folder: Path, more: str = "", step: int = 1) -> MetaMessage:
    file = folder / "agent.toml"
    file.write_text(_CONFIG.format(folder=folder, more=more), "utf-8")
    config = load(file)
    device = config.device["meter-7"]
    record, settings = chosen(device)
    opened = record.open(settings)
    return describe(
        config, "meter-7", device, record.model(settings) or record.title, tuple(opened.channels)[::step]
    )


def test_it_says_what_the_device_is(tmp_path: Path) -> None:
    made = _described(tmp_path, 'name = "Hall B feed"\nplace = "floor 1"\nlabels = { tenant = "a" }')
    assert (made.device, made.name, made.place, made.labels) == (
        "meter-7",
        "Hall B feed",
        "floor 1",
        {"tenant": "a"},
    )
    assert made.channels["power"].unit == "W"
    assert made.channels["energy_import"].kind == "counter"
    assert made.channels["power"].interval_s == 10
    assert len(made.hash) == 8
    assert MetaMessage.model_validate_json(made.payload()) == made


def test_a_bound_that_is_open_is_null(tmp_path: Path) -> None:
    made = _described(tmp_path, "[device.meter-7.channel.power]\nplausible = [-inf, 5000]")
    assert json.loads(made.payload())["channels"]["power"]["plausible"] == [None, 5000]
    assert MetaMessage.model_validate_json(made.payload()) == made


def test_the_hash_stays_as_long_as_nothing_changes(tmp_path: Path) -> None:
    assert _described(tmp_path).hash == _described(tmp_path).hash


@pytest.mark.parametrize(
    "more",
    [
        'name = "Hall B"',
        'place = "floor 2"',
        'labels = { tenant = "b" }',
        'interval = "20s"',
        '[device.meter-7.channel.power]\nname = "Main"',
        "[device.meter-7.channel.power]\nplausible = [0, 10]",
        "[device.meter-7.channel.power]\nplausible = [-inf, inf]",
    ],
)
def test_the_hash_changes_with_all_that_a_backend_sees(tmp_path: Path, more: str) -> None:
    assert _described(tmp_path, more).hash != _described(tmp_path).hash


@pytest.mark.parametrize(
    "name", ['say "cheese"', "back\\slash", "温度 - Süd", "100 % {x} %s", "tab\tnew\nline", "\U0001f321"]
)
def test_odd_names_are_only_text(tmp_path: Path, name: str) -> None:
    quoted = json.dumps(name, ensure_ascii=False)
    more = f"name = {quoted}\n[device.meter-7.channel.power]\nname = {quoted}\nplausible = [-inf, 5]"
    made = _described(tmp_path, more)
    said: dict[str, Any] = json.loads(made.payload())
    assert said["name"] == said["channels"]["power"]["name"] == name
    assert said["channels"]["power"]["plausible"] == [None, 5]
    assert MetaMessage.model_validate(said).hash == made.hash
    description = Description.parse(made.hash, made.payload().decode())
    assert description.names == tuple(said["channels"])


def test_another_order_of_channels_is_another_description(tmp_path: Path) -> None:
    """Readings are kept in the order of the channels: under an old hash their values would change places."""
    assert _described(tmp_path).hash != _described(tmp_path, step=-1).hash


def test_an_average_describes_the_channels_that_it_adds(tmp_path: Path) -> None:
    more = 'average = "1m"\nchannel.power = { name = "Feed", plausible = [0, 100] }'
    channels = _described(tmp_path, more).channels
    assert set(channels) - set(_described(tmp_path).channels) >= {"power_min", "power_max", "voltage_min"}
    mean, low, high = (channels[name] for name in ("power", "power_min", "power_max"))
    assert (mean.name, low.name, high.name) == ("Feed", "Feed, lowest", "Feed, highest")
    for one in (mean, low, high):
        assert (one.unit, one.kind, one.interval_s, one.average_s) == ("W", "gauge", 60, 60)
        assert one.plausible == (0, 100)
    counter = channels["energy_import"]
    assert (counter.interval_s, counter.average_s) == (60, None)
    assert "energy_import_min" not in channels
