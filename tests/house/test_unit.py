"""The service's unit fits what the agent does: its command, its exit codes, its folders."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.service import EX_CONFIG
from edge_agent.settings.model import Outbox

UNIT = Path(__file__).parents[2] / "systemd" / "edge-agent.service"


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
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.fail("systemd-analyze is missing; run make test as root, or apt-get install systemd")
    unit = tmp_path / UNIT.name
    text = UNIT.read_text("utf-8").replace("/opt/edge-agent/bin/edge-agent", "/bin/true")
    unit.write_text(text, "utf-8")
    done = subprocess.run(
        [program, "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
