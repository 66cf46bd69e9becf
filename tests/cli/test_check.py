from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

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
        f"{file}:6: device.meter.driver: there is no driver 'modbuss'; did you mean modbus?",
        f"{file}:7: device.meter.bus: there is no bus 'b'; buses of this file: a",
    ]


def test_a_file_that_is_not_there_is_the_same_kind_of_problem(app: Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--config", str(tmp_path / "none.toml")])
    assert (result.exit_code, result.stdout) == (78, "")
    assert "cannot be read (No such file or directory); give the file with --config" in result.stderr
