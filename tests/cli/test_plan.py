"""``edge-agent plan``."""

import json
from pathlib import Path

from typer.testing import CliRunner

from edge_agent.cli import app

CONFIG = """\
config = 1
gateway = { site = "east-park", id = "gw-01" }
[uplink.city]
servers = ["mqtt://127.0.0.1"]
[bus.a]
port = "/dev/ttyUSB0"
[device.meter]
driver = "modbus"
bus = "a"
interval = "1s"
settings = { profile = "eastron_sdm120", address = 7 }
"""


def test_it_tells_people_and_programs(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG, "utf-8")
    told = json.loads(CliRunner().invoke(app, ["plan", "-c", str(file), "--json"]).output)
    assert told["readings_s"] == 1
    assert told["outbox"]["outage_hours"] > 24
    assert told["buses"]["a"]["busy"] > 0
    assert told["uplinks"]["city"]["bytes_month"] > 30 * 86_400 * 200
    said = CliRunner().invoke(app, ["plan", "-c", str(file)])
    for word in (
        "readings: 1 a second of 1 device\n",
        "uplink city: ",
        "bus a: busy ",
        "card: ",
        "outage: 512 MB",
    ):
        assert word in said.output


def test_a_stated_endurance_counts(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG, "utf-8")
    years = [
        json.loads(CliRunner().invoke(app, ["plan", "-c", str(file), "--json", "--endurance", size]).output)[
            "card"
        ]
        for size in ("1000GB", "2000GB")
    ]
    assert abs(years[1]["years"] - 2 * years[0]["years"]) < 0.2
    assert CliRunner().invoke(app, ["plan", "-c", str(file), "--endurance", "big"]).exit_code == 2


def test_more_than_a_bus_can_carry_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG.replace('"1s"', '"100ms"'), "utf-8")
    said = CliRunner().invoke(app, ["plan", "-c", str(file)])
    assert said.exit_code == 1
    assert "more than it can carry" in said.output


def test_a_wrong_configuration_ends_with_78(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["plan", "-c", str(tmp_path / "none.toml")]).exit_code == 78
