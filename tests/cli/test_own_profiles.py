"""The site's own profiles: they replace packaged ones, everybody is told, and a broken one hurts no other."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.driver import ProfileError, find_profiles, profile_text
from edge_agent.profile import find_profile
from edge_agent.settings.error import SettingsError
from edge_agent.settings.load import load, load_what_runs

ASKED, ANSWERED = "01 04 00 01 00 01 60 0A", "01 04 02 01 31 79 74"
CONFIG = """\
config = 1
gateway = { site = "a", id = "b" }
[outbox]
path = "OUTBOX"
[bus.a]
port = "/dev/none-a"
[device.indoors]
driver = "modbus"
bus = "a"
settings = { profile = "xy_md02", address = 1 }
interval = "10s"
[device.outdoors]
driver = "modbus"
bus = "a"
settings = { profile = "xy_md02_x100", address = 2 }
interval = "10s"
"""


def run(*words: str) -> Any:
    return CliRunner().invoke(app, words)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site's folder for Modbus, with its own XY-MD02: one that counts in fifths."""
    folder = tmp_path / "profiles" / "modbus"
    folder.mkdir(parents=True)
    text = profile_text("modbus", "xy_md02").replace("scale = 0.1", "scale = 0.2")
    (folder / "xy_md02.toml").write_text(text, "utf-8")
    monkeypatch.setenv("EDGE_AGENT_PROFILES", str(tmp_path / "profiles"))
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG.replace("OUTBOX", str(tmp_path / "outbox.db")), "utf-8")
    return file


def test_it_takes_the_place_of_a_packaged_one(own: Path) -> None:
    found = find_profile("modbus", "xy_md02")
    assert (found.own, found.replaces, str(found.path)) == (True, True, str(own / "xy_md02.toml"))
    assert find_profile("modbus", "xy_md02_x100").note == ""
    said = json.loads(
        run("decode", "modbus", "--set", "profile=xy_md02", "--request", ASKED, "--response", ANSWERED).stdout
    )
    assert said == {
        "samples": {"temperature": {"value": 61.0, "unit": "Cel"}},
        "profile": f"the site's own, {own}/xy_md02.toml, in place of the built-in one",
    }


def test_everybody_is_told(own: Path, config: Path) -> None:
    (own / "acme_m1.toml").write_text(profile_text("modbus", "pzem_004t_v3"), "utf-8")
    listed = run("drivers").stdout
    assert f"      the site's own: {own}/xy_md02.toml, in place of the built-in one\n" in listed
    assert (
        f"  acme_m1: Peacefair PZEM-004T v3 energy monitor\n      the site's own: {own}/acme_m1.toml\n"
        in listed
    )
    told = {driver["name"]: driver for driver in json.loads(run("drivers", "--json").stdout)["drivers"]}
    profiles = {profile["name"]: profile for profile in told["modbus"]["profiles"]}
    assert {name for name, profile in profiles.items() if profile["own"]} == {"acme_m1", "xy_md02"}
    assert {name for name, profile in profiles.items() if profile["replaces"]} == {"xy_md02"}
    checked = run("check", "--config", str(config)).stdout.splitlines()
    note = f"the site's own, {own}/xy_md02.toml, in place of the built-in one"
    assert checked[0] == f"device.indoors: profile 'xy_md02' is {note}"
    assert checked[1].startswith("OK: 2 devices")
    (listed,) = (line for line in run("profile", "list").stdout.splitlines() if " xy_md02 " in line)
    assert listed.endswith(f" ({note})")
    assert f"This profile is {note}." in run("drivers", "page", "modbus").stdout
    assert f"({note})" in run("drivers", "table").stdout


def test_a_change_is_seen_at_once(own: Path) -> None:
    """Nothing but the text decides: a gateway runs for years, and a test changes the file in between."""
    words = ("decode", "modbus", "--set", "profile=xy_md02", "--request", ASKED, "--response", ANSWERED)
    file = own / "xy_md02.toml"
    for scale, value in (("0.2", 61.0), ("0.3", 91.5)):
        file.write_text(profile_text("modbus", "xy_md02").replace("scale = 0.2", f"scale = {scale}"), "utf-8")
        assert json.loads(run(*words).stdout)["samples"]["temperature"]["value"] == value
    file.unlink()
    assert json.loads(run(*words).stdout) == {"samples": {"temperature": {"value": 30.5, "unit": "Cel"}}}


def test_one_that_lies_beside_the_drivers_folder_is_pointed_at(own: Path) -> None:
    stray = own.parent / "acme_m1.toml"
    stray.write_text(profile_text("modbus", "pzem_004t_v3"), "utf-8")
    (own / ".xy_md01.toml").write_text("an editor's copy", "utf-8")
    said = run("profile", "test", "acme_m1").stderr
    assert said == f"there is no profile 'acme_m1'; move {stray} into the driver's folder there, modbus\n"
    assert {name for name, file in find_profiles("modbus").items() if file.own} == {"xy_md02"}


def test_a_broken_one_is_told_with_file_line_key_and_remedy(own: Path, config: Path) -> None:
    text = profile_text("modbus", "xy_md02").replace('type = "i16"', 'type = "i17"')
    (own / "xy_md02.toml").write_text(text, "utf-8")
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "i17" in row)
    place = f"profile 'xy_md02': {own}/xy_md02.toml:{line}: channels[0].type: "
    wrong = f"{place}is not one of the choices; write 'u16', 'i16'"
    with pytest.raises(SettingsError) as caught:
        load(config)
    assert f"{config}:10: device.indoors.settings.profile: {wrong}" in str(caught.value)
    assert len(caught.value.problems) == 1
    checked = run("check", "--config", str(config))
    assert (checked.exit_code, checked.stdout) == (78, "")
    listed = run("drivers").stdout
    assert "  xy_md02: cannot be used\n" in listed
    assert wrong in listed
    assert "  xy_md02_x100: XY-MD02 clone that counts in hundredths\n" in listed
    assert "Cannot be used: profile 'xy_md02'" in run("drivers", "page", "modbus").stdout
    asked = run("decode", "modbus", "--set", "profile=xy_md02", "--request", ASKED, "--response", ANSWERED)
    assert (asked.exit_code, wrong in asked.stderr) == (2, True)


def test_the_other_devices_run(own: Path, config: Path) -> None:
    (own / "xy_md02.toml").write_text("channels = [", "utf-8")
    found = load_what_runs(config)
    loaded, left_out = found.config, found.left_out
    assert list(loaded.device) == ["outdoors"]
    (problem,) = left_out
    assert (problem.line, problem.key) == (10, "device.indoors.settings.profile")
    config.write_text(config.read_text("utf-8").replace('"10s"', '"10x"'), "utf-8")
    with pytest.raises(SettingsError) as caught:  # with a mistake of another kind nothing starts
        load_what_runs(config)
    assert len(caught.value.problems) == 3


def test_a_folder_that_cannot_be_read_is_a_problem_and_not_left_out(own: Path) -> None:
    (own / "xy_md02.toml").unlink()
    own.rmdir()
    own.write_text("not a folder", "utf-8")
    with pytest.raises(
        ProfileError, match=r"modbus: cannot be read \(Not a directory\); let the agent's user"
    ):
        find_profiles("modbus")
    for words in (("drivers",), ("profile", "list")):
        result = run(*words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "cannot be read (Not a directory)" in result.stderr


async def test_a_running_agent_says_it(own: Path, config: Path) -> None:
    (own / "xy_md02_x100.toml").write_text("title = ", "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from edge_agent.cli import main; main()", "run", "--config", str(config)),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"EDGE_AGENT_PROFILES": str(own.parent)},
    )
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(60):
            while "its profile is" not in said:
                line = await process.stderr.readline()
                assert line, said
                said += line.decode()
        assert (
            f"indoors: its profile is the site's own, {own}/xy_md02.toml, in place of the built-in one"
            in said
        )
        assert f"{config}:15: device.outdoors.settings.profile: profile 'xy_md02_x100': {own}" in said
        assert "the agent runs without this device" in said
        process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == 0
        kept = b"".join(file.read_bytes() for file in config.parent.glob("outbox.db*"))
        assert b"sensor with SHT20 (profile of this site)" in kept, "what meta tells of the device"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
