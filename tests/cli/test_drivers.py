"""``edge-agent drivers`` lists what is installed, and prints each driver's sample and page."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edge_agent import registry
from edge_agent.cli.drivers import drivers

ROOT = Path(__file__).parents[2]

app = typer.Typer()
app.command()(drivers)


def run(*words: str) -> Any:
    return CliRunner().invoke(app, words)


def test_the_list_names_drivers_and_profiles() -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    (radar,) = (line for line in lines if line.startswith("ld2410: "))
    assert "HLK-LD2410 presence radar" in radar
    assert "over stream" in radar
    assert "smartpark-edge-agent" in radar
    assert radar.endswith("ok)")
    assert "  eastron_sdm120: Eastron SDM120 single-phase energy meter" in lines


def test_the_list_for_programs() -> None:
    listed = json.loads(run("--json").stdout)["drivers"]
    found = {driver["name"]: driver for driver in listed}
    assert sorted(found) == registry.names()
    assert found["modbus"]["over"] == "registers"
    assert found["modbus"]["status"] == "ok"
    profiles = {profile["name"]: profile for profile in found["modbus"]["profiles"]}
    assert profiles.keys() >= {
        "eastron_sdm120",
        "eastron_sdm630",
        "kbr_multicomp_f144",
        "pzem_004t_v3",
        "xy_md02",
        "xy_md02_x100",
    }
    assert all(profile["source"] and profile["title"] for profile in profiles.values())


def test_a_driver_that_cannot_be_used_is_listed_with_its_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = registry.Entry("broken", "somebody 1.0", None, "cannot be loaded; reinstall somebody 1.0")
    monkeypatch.setattr(registry, "entries", lambda: iter([broken]))
    result = run()
    assert result.exit_code == 0
    assert "cannot be loaded; reinstall somebody 1.0" in result.stdout
    (listed,) = json.loads(run("--json").stdout)["drivers"]
    assert listed["status"] == broken.problem


@pytest.mark.parametrize("name", registry.names())
def test_sample_and_page_are_printed_as_they_are(name: str) -> None:
    folder = ROOT / registry.load(name).home.replace(".", "/")
    assert run("sample", name).stdout == (folder / "sample.toml").read_text("utf-8")
    assert run("page", name).stdout == (folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("page", "modbuss"), "there is no driver 'modbuss'; did you mean modbus or mbus?"),
        (
            ("sample",),
            f"`edge-agent drivers sample` needs a driver; installed: {', '.join(registry.names())}",
        ),
    ],
)
def test_a_wrong_command_says_the_remedy(words: tuple[str, ...], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr
