"""``edge-agent profile``: what a person who writes one is told, and what it costs on the line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_agent import registry
from edge_agent.cli import app
from edge_agent.driver import find_profiles, profile_text

ROOT = Path(__file__).parents[2]


def run(*words: str) -> Any:
    return CliRunner().invoke(app, words)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """The profile that docs/driver.md shows."""
    (text,) = re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "docs" / "driver.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    file = tmp_path / "acme_m1.toml"
    file.write_text(text, "utf-8")
    return file


def changed(file: Path, old: str, new: str) -> Path:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    return file


@pytest.mark.parametrize(
    ("driver", "name"), [(driver, name) for driver in registry.names() for name in find_profiles(driver)]
)
def test_every_profile_is_in_order(driver: str, name: str) -> None:
    result = run("profile", "test", name, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"], told["driver"], told["problems"]) == (0, True, driver, [])
    assert told["vectors"]
    assert told["poll"]["requests"]


def test_a_good_one_is_told_with_its_cost(good: Path) -> None:
    """As docs/driver.md shows it."""
    text = (ROOT / "docs" / "driver.md").read_text("utf-8")
    (shown,) = re.findall(
        r"^   \$ edge-agent profile test acme_m1\.toml\n(.*?)^   ```", text, re.MULTILINE | re.DOTALL
    )
    result = run("profile", "test", str(good))
    assert result.exit_code == 0
    assert result.stdout == "".join(f"{line.removeprefix('   ')}\n" for line in shown.splitlines())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("scale = 0.1", "scale = 1", "voltage is 2301, expected 230.1"),
        ("expect   = { voltage = 230.1", "expect   = { voltage = 230", "voltage is 230.1, expected 230"),
        ("expect   = { voltage = 230.1,", "expect   = {", "voltage is 230.1, and neither in expect nor"),
        ("expect   = {", "expect   = { current = 1, ", "there is no channel current"),
        ("requests = 1", "requests = 2", "the poll takes 1 requests, expected 2"),
        ("[[vector]]", "[vector]", "acme_m1.toml:10: vector: is not a list; put it in [ ]"),
        ('"i32"', '"i23"', "acme_m1.toml:6: channels[1].type: is not one of the choices; write 'u16'"),
        ('"energy_import", table', '"energi", table', "acme_m1.toml:7: channels[2].quantity: is not one of"),
        ('name = "power"', 'name = "voltage"', "channel voltage is there twice; give each a name of its own"),
        ("at = 0x0010", "at = 0x0002", "power and energy_import overlap in register 2; correct at or type"),
        ("at = 0x0001", "at = 0x0000", "voltage and power overlap in register 0"),
        (
            '"08 FD',
            '"08 FX',
            "acme_m1.toml:10: vector[0].holding: 0x0000 = '08 FX FF FF FF 9C' is no address",
        ),
        (
            'source   = "as above"',
            "",
            "acme_m1.toml:10: vector[0]: has no source; name it, or write synthetic",
        ),
        ('serial = "9600 8N1"', 'serial = "fast"', "acme_m1.toml:3: serial: 'fast' is no serial format"),
        (
            "channels = [",
            "chanels = [",
            "acme_m1.toml:4: chanels: is not a known key; did you mean channels or",
        ),
        (
            "at = 0x0010",
            "register = 0x0010",
            "acme_m1.toml:7: channels[2].register: is not a known key; known here: at, bit, bits, enum,",
        ),
        ("at = 0x0010,", "", "acme_m1.toml:7: channels[2].at: is missing; add at = ... to channels[2]\n"),
        ('label = "Voltage"', "label = Voltage", "acme_m1.toml:5: is not TOML"),
        ('"voltage", quantity', '"ts", quantity', "channel 'ts' has a name that is reserved in MQTT"),
        ("scale = 0.01", "scale = -0.01", "energy_import is -1234.56, expected 1234.56"),
    ],
)
def test_what_is_wrong_is_told(good: Path, old: str, new: str, told: str) -> None:
    result = run("profile", "test", str(changed(good, old, new)))
    assert result.exit_code == 1
    assert told in result.stdout
    assert result.stdout.endswith("not in order\n")


def test_a_list_is_not_called_short_for_its_wrong_entry(tmp_path: Path) -> None:
    file = tmp_path / "acme_m2.toml"
    channel = '{ name = "power", quantity = "power", table = "input", at = -1, type = "u16" }'
    file.write_text(f'title = "M2"\nsource = "made up"\nchannels = [\n  {channel},\n]\n')
    result = run("profile", "test", str(file))
    assert result.stdout.count("WRONG") == 1
    assert "acme_m2.toml:4: channels[0].at: is not accepted" in result.stdout


def test_a_value_that_cannot_be_is_wrong_although_expected(good: Path) -> None:
    changed(good, "scale = 0.1", "scale = 1")
    result = run("profile", "test", str(changed(good, "voltage = 230.1", "voltage = 2301")))
    assert (result.exit_code, "voltage is 2301, which is not plausible: 0 to 1000" in result.stdout) == (
        1,
        True,
    )


def test_one_without_vectors_is_not_in_order_and_shows_its_plan(good: Path) -> None:
    text = good.read_text("utf-8")
    good.write_text(text[: text.index("[[vector]]")], "utf-8")
    told = json.loads(run("profile", "test", str(good), "--json").stdout)
    assert told["problems"] == ["there is no [[vector]]; add what a device answered, and what it means"]
    assert told["poll"]["requests"] == ["holding 0x0000 to 0x0011"]


def test_what_is_only_unusual_is_a_remark(good: Path) -> None:
    changed(good, "title  =", 'unconfirmed = "the scale"\ntitle  =')
    changed(good, 'name = "power"', 'name = "load"')
    other = good.rename(good.with_name("M1.toml"))
    result = run("profile", "test", str(changed(other, "power = -100.0", "load = -100.0")))
    assert result.exit_code == 0
    assert [line.strip() for line in result.stdout.splitlines() if "look" in line] == [
        "look   its name 'M1' is not <vendor>_<model> in lower case",
        "look   channel load is not named after its quantity, power",
        "look   not confirmed: the scale",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("./none.toml",), "none.toml: cannot be read (No such file or directory)"),
        (("acme_m9",), "there is no profile 'acme_m9'"),
        (
            ("xy_md02", "--driver", "ld2410"),
            "driver ld2410 has no profiles; give the one that has with --driver",
        ),
        (
            ("./xy_md02.toml", "--driver", "modbuss"),
            "there is no driver 'modbuss'; did you mean modbus or mbus?",
        ),
    ],
)
def test_what_cannot_be_tested_is_said(words: tuple[str, ...], message: str) -> None:
    result = run("profile", "test", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_list_and_show() -> None:
    everything = [line.split() for line in run("profile", "list").stdout.splitlines()]
    assert ["modbus", "eastron_sdm120", "Eastron", "SDM120", "single-phase", "energy", "meter"] in everything
    listed = run("profile", "list", "--driver", "modbus").stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [["modbus", name] for name in find_profiles("modbus")]
    assert run("profile", "show", "xy_md02").stdout == profile_text("modbus", "xy_md02")
    assert "there is no profile 'xy_md01'; did you mean" in run("profile", "show", "xy_md01").stderr


def test_a_file_that_is_not_installed_can_be_decoded_with(good: Path) -> None:
    """What an installer at the cabinet does while writing one."""
    answer = "07 03 02 08 FD F6 05"  # 230.1 V
    words = ("--set", f"profile={good}", "--request", "07 03 00 00 00 01 84 6C", "--response", answer)
    said = json.loads(run("decode", "modbus", *words).stdout)
    assert said["samples"] == {"voltage": {"value": 230.1, "unit": "V"}}
    assert said["profile"] == f"the site's own, {good}"
