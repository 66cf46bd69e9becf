import json
import os
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from edge_agent.cli import app as edge_agent
from edge_agent.cli.check import check

GOOD = """\
config = 1
gateway = { site = "east-park", id = "gw-01" }
[bus.a]
port = "/dev/ttyUSB0"
[device.meter]
driver = "modbus"
bus = "a"
settings = { profile = "eastron_sdm120", address = 7 }
"""


@pytest.fixture
def app() -> Typer:
    app = Typer()
    app.command()(check)
    return app


def test_a_good_file_is_told_what_is_in_it(app: Typer, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(GOOD, "utf-8")
    result = CliRunner().invoke(app, ["--config", str(file)])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "OK: 1 device on 1 bus, 0 uplinks\n", "")


def test_all_problems_go_to_stderr_one_per_line(app: Typer, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(GOOD.replace("modbus", "modbuss").replace('"a"', '"b"'), "utf-8")
    result = CliRunner().invoke(app, ["--config", str(file)])
    assert (result.exit_code, result.stdout) == (78, "")
    assert result.stderr.splitlines() == [
        f"{file}:6: device.meter.driver: there is no driver 'modbuss'; did you mean modbus or mbus?",
        f"{file}:7: device.meter.bus: there is no bus 'b'; buses of this file: a",
    ]


def test_a_program_is_told_all_of_it_too(app: Typer, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(GOOD, "utf-8")
    said = CliRunner().invoke(app, ["--config", str(file), "--json"])
    assert (said.exit_code, json.loads(said.stdout)) == (0, {"ok": True, "problems": []})
    file.write_text(GOOD.replace("modbus", "modbuss").replace('"a"', '"b"'), "utf-8")
    said = CliRunner().invoke(app, ["--config", str(file), "--json"])
    told = json.loads(said.stdout)
    assert (said.exit_code, told["ok"]) == (78, False)
    assert [(one["line"], one["key"]) for one in told["problems"]] == [
        (6, "device.meter.driver"),
        (7, "device.meter.bus"),
    ]


def test_a_file_that_is_not_there_is_the_same_kind_of_problem(app: Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--config", str(tmp_path / "none.toml")])
    assert (result.exit_code, result.stdout) == (78, "")
    assert "cannot be read (No such file or directory); give the file with --config" in result.stderr


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_file_that_cannot_be_read_is_said_by_us_with_exit_78(verb: str, tmp_path: Path) -> None:
    for file, remedy in (
        (tmp_path / "none.toml", "(No such file or directory); give the file with --config"),
        (tmp_path, "(Is a directory); give the file with --config"),
    ):
        result = CliRunner().invoke(edge_agent, [verb, "--config", str(file)])
        assert (result.exit_code, result.stderr) == (78, f"{file}: cannot be read {remedy}\n")


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_file_without_permission_too(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line asks the system by os.access, which says yes to root."""
    file = tmp_path / "agent.toml"
    file.write_text("config = 2\n", "utf-8")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    result = CliRunner().invoke(edge_agent, [verb, "--config", str(file)])
    assert result.exit_code == 78
    assert f"{file}:1: config: " in result.stderr


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_pipe_or_a_device_is_no_configuration(verb: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path / "pipe", Path("/dev/zero")):
        result = CliRunner().invoke(edge_agent, [verb, "--config", str(file)])
        remedy = "is no file, but a pipe or a device; give the file with --config"
        assert (result.exit_code, result.stderr) == (78, f"{file}: {remedy}\n")


def test_certificates_are_tried(app: Typer, tmp_path: Path) -> None:
    ca, file = tmp_path / "ca.pem", tmp_path / "agent.toml"
    ca.write_text("no certificate\n", "utf-8")
    file.write_text(f'{GOOD}[uplink.city]\nservers = ["mqtts://broker.example"]\nca = "{ca}"\n', "utf-8")
    result = CliRunner().invoke(app, ["--config", str(file)])
    assert (result.exit_code, result.stdout) == (78, "")
    assert result.stderr.startswith(f"{file}:11: uplink.city.ca: ca cannot be used (")
    assert result.stderr.endswith("; write a PEM file with certificates\n")
    ca.unlink()
    os.mkfifo(ca)
    assert "ca: is a pipe; write a file" in CliRunner().invoke(app, ["--config", str(file)]).stderr
