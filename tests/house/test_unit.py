"""The service's unit fits what the agent does: its command, its exit codes, its folders, and what it may."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.service import EX_CONFIG
from edge_agent.settings.model import Outbox

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "edge-agent.service"
EXPOSED = 2.0  # the most that `systemd-analyze security` may say, of 10


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.fail("systemd-analyze is missing; run make test as root, or apt-get install systemd")
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def service() -> configparser.SectionProxy:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # how configparser is told to keep case
    unit.read(UNIT, "utf-8")
    return unit["Service"]


def test_its_command_is_a_verb(service: configparser.SectionProxy) -> None:
    program, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name == "edge-agent"
    missing = CliRunner().invoke(app, arguments)  # the file is not there: a person must act
    assert missing.exit_code == EX_CONFIG


def test_it_is_not_started_again_when_a_person_must_act(service: configparser.SectionProxy) -> None:
    assert service["Restart"] == "always"
    assert int(service["RestartPreventExitStatus"]) == EX_CONFIG


def test_its_state_folder_is_the_outboxs(service: configparser.SectionProxy) -> None:
    assert Path("/var/lib", service["StateDirectory"]) == Outbox().path.parent


def test_the_clock_may_be_asked(service: configparser.SectionProxy) -> None:
    assert "adjtimex" in service["SystemCallFilter"], "the last line wins, and @privileged has it"
    assert "ProtectClock" not in service


def test_systemd_takes_it(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    text = UNIT.read_text("utf-8").replace("/opt/edge-agent/current/bin/edge-agent", "/bin/true")
    unit.write_text(text, "utf-8")
    done = analyze("verify", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_it_may_do_little_and_says_why_it_may_do_that() -> None:
    done = analyze("security", "--offline=true", "--no-pager", f"--threshold={EXPOSED * 10:.0f}", str(UNIT))
    assert done.returncode == 0, done.stdout
    told = analyze("security", "--offline=true", "--no-pager", "--json=short", str(UNIT))
    left = {point["json_field"] for point in json.loads(told.stdout) if point["set"] is False}
    reasons = UNIT.read_text("utf-8").partition("still counts")[2]
    named = {name for names in re.findall(r"(?m)^# - ([\w, ]+): ", reasons) for name in names.split(", ")}
    assert left - named == set(), "name them below 'still counts' in the unit, with the reason"
    assert "ProtectClock" in left, "the test sees what is left"


def test_a_change_of_the_configuration_is_told_to_it(service: configparser.SectionProxy) -> None:
    assert service["Type"] == "notify", "systemd 252 has no notify-reload"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_user_and_folders_are_made(tmp_path: Path, service: configparser.SectionProxy) -> None:
    """As on a machine: first the user, then the folders that belong to it."""
    (tmp_path / "etc").mkdir()
    for program, *words in (
        ("systemd-sysusers", str(FOLDER / "edge-agent.sysusers.conf")),
        ("systemd-tmpfiles", "--create", str(FOLDER / "edge-agent.tmpfiles.conf")),
    ):
        done = subprocess.run(
            [program, f"--root={tmp_path}", *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
    user, *_, shell = (tmp_path / "etc/passwd").read_text("utf-8").splitlines()[0].split(":")
    assert (user, shell) == (service["User"], "/usr/sbin/nologin")
    groups = (tmp_path / "etc/group").read_text("utf-8")
    assert {"dialout", "gpio"} <= set(re.findall(r"(?m)^(\w+):.*:edge-agent$", groups))
    etc = tmp_path / "etc/edge-agent"
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in etc.iterdir()} == {
        "conf.d": "0o755",
        "profiles": "0o755",
        "secrets": "0o750",
    }
    assert service["ReadWritePaths"] == "-/etc/edge-agent/conf.d", "all else there is the installer's"
    assert (etc / "conf.d").stat().st_uid != etc.stat().st_uid, "the service's own"


def test_no_device_is_open_to_everybody() -> None:
    rules = (FOLDER / "edge-agent.rules").read_text("utf-8")
    modes = re.findall(r'MODE="(\d+)"', rules)
    assert modes == ["0660"]
    labels = set(re.findall(r'LABEL="(\w+)"', rules))
    assert set(re.findall(r'GOTO="(\w+)"', rules)) == labels
