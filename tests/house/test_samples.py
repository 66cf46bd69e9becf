"""Every sample in the project's pages is used as a reader would: parsed, judged by the models, or run."""

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tomlkit
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.settings.load import load
from tests.contract.judge import faults
from tests.peers.npm import node

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "drivers").rglob("README.md"),
        *(ROOT / "examples").rglob("*.md"),
    )
    if path.is_file()
)
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


class Sample(NamedTuple):
    """A fenced block: its page, the line it begins at, its kind, and its text without the indentation."""

    page: Path
    line: int
    kind: str
    text: str


def samples(page: Path) -> list[Sample]:
    whole = page.read_text("utf-8")
    return [
        Sample(
            page,
            whole.count("\n", 0, found.start()) + 1,
            found[2],
            re.sub(rf"(?m)^{found[1]}", "", found[3]),
        )
        for found in _FENCE.finditer(whole)
    ]


SAMPLES = [sample for page in PAGES for sample in samples(page)]


def each(*kinds: str) -> pytest.MarkDecorator:
    chosen = [sample for sample in SAMPLES if sample.kind in kinds]
    assert chosen, f"no page has a block of {kinds}"
    return pytest.mark.parametrize(
        "sample", chosen, ids=[f"{one.page.relative_to(ROOT)}:{one.line}" for one in chosen]
    )


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    tried = {"toml", "sh", "console", "json", "python", "js", "ini", "text"}
    assert [(sample.page.name, sample.line) for sample in SAMPLES if sample.kind not in tried] == []
    fences = sum(len(re.findall(r"(?m)^ *```", page.read_text("utf-8"))) for page in PAGES)
    assert fences == 2 * len(SAMPLES)


def merged(tables: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return nested tables as one; of a key that both have, the later value counts."""
    both = {
        name: merged(tables[name], value)
        for name, value in more.items()
        if isinstance(value, dict) and isinstance(tables.get(name), dict)
    }
    return tables | more | both


def is_profile(text: str) -> bool:
    return "channels" in tomllib.loads(text)


def whole(*parts: str) -> str:
    """Return a configuration around some of its tables: the beginning, and buses that the devices name."""
    tables: dict[str, Any] = {"config": 1, "gateway": {"site": "east-park", "id": "gw-01"}}
    for part in parts:
        tables = merged(tables, tomllib.loads(part))
    for table in tables.get("device", {}).values():
        port = "contact:///dev/ttyUSB1?line=cts" if table["driver"] == "contact" else "/dev/ttyUSB0"
        tables.setdefault("bus", {}).setdefault(table["bus"], {"port": port})
    return tomlkit.dumps(tables)


@each("toml")
def test_a_configuration_or_profile_is_taken(sample: Sample, tmp_path: Path) -> None:
    if is_profile(sample.text):
        file = tmp_path / "acme_m1.toml"
        file.write_text(sample.text, "utf-8")
        tried = CliRunner().invoke(app, ["profile", "test", str(file)])
        assert tried.exit_code == 0, tried.output
        return
    file = tmp_path / "agent.toml"
    before = [one.text for one in samples(sample.page) if one.kind == "toml" and one.line < sample.line]
    file.write_text(whole(*before, sample.text), "utf-8")
    load(file)


def test_a_table_with_a_mistake_is_found(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(whole('[device.a]\ndriver = "contact"\nbus = "b"\navrage = "1m"\n'), "utf-8")
    with pytest.raises(Exception, match="avrage"):
        load(file)


def test_messages_are_of_the_schemas_that_they_name() -> None:
    shown = [sample for sample in SAMPLES if sample.kind == "json"]
    found = faults([json.loads(sample.text) for sample in shown])
    assert [
        (sample.page.name, sample.line, told) for sample, told in zip(shown, found, strict=True) if told
    ] == []


@each("ini")
def test_systemd_knows_what_a_drop_in_says(sample: Sample, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.fail("systemd-analyze is missing; run make test as root, or apt-get install systemd")
    parsed = configparser.RawConfigParser()
    parsed.read_string(sample.text)
    assert parsed.sections() == ["Service"]
    unit = tmp_path / "sample.service"
    unit.write_text(f"[Unit]\nDescription=A sample\n{sample.text}ExecStart=/bin/true\n", "utf-8")
    judged = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "sample.service" not in judged.stderr


@each("python")
def test_python_compiles(sample: Sample) -> None:
    compile(sample.text, f"{sample.page.name}:{sample.line}", "exec")


@each("js")
def test_javascript_parses(sample: Sample, tmp_path: Path) -> None:
    script = tmp_path / "sample.js"
    script.write_text(sample.text, "utf-8")
    subprocess.run([node(), "--check", str(script)], check=True, timeout=60)


def commands(sample: Sample) -> list[str]:
    return sample.text.replace("\\\n", " ").splitlines()


TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
OPTIONS = re.compile(r"--[a-z]+")


@each("sh")
def test_a_shell_knows_what_it_says(sample: Sample, tmp_path: Path) -> None:
    """What ``edge-agent`` itself is told is parsed by test_help."""
    subprocess.run(["/bin/sh", "-n"], input=sample.text, text=True, check=True, timeout=60)
    for line in commands(sample):
        words = shlex.split(line.removeprefix("sudo "))
        match words:
            case ["make", target, *_]:
                assert target in TARGETS
            case ["./install.sh", *options]:
                usage = (ROOT / "install.sh").read_text("utf-8")
                assert [option for option in options if option.startswith("--") and option not in usage] == []
            case ["python", "-c", code]:
                subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
            case ["python", script, *options]:
                told = subprocess.run(
                    [sys.executable, str(sample.page.parent / script), "--help"],
                    capture_output=True, text=True, check=True, timeout=60,
                ).stdout  # fmt: skip
                assert set(OPTIONS.findall(" ".join(options))) <= set(OPTIONS.findall(told))
            case [
                "edge-agent" | "mosquitto_sub" | "pip" | "apt-get" | "systemctl" | "tar" | "cd" | "nano",
                *_,
            ]:
                pass
            case ["curl", *_]:
                assert sample.page.name == "console.md", "tests/console/test_console_api.py tries those"
            case ["install", "-m", mode, *_]:
                assert mode == "640"
            case [first, *_]:
                assert re.fullmatch(r"EDGE_AGENT__[A-Z_]+=.+", first), f"{line}: who tries this?"


def test_the_environment_that_is_shown_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "city-password").write_text("a\n", "utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secrets))
    lines = [line for sample in SAMPLES for line in commands(sample) if line.startswith("EDGE_AGENT__")]
    for line in lines:
        name, _, value = shlex.split(line)[0].partition("=")
        monkeypatch.setenv(name, value)
    file = tmp_path / "agent.toml"
    file.write_text(whole(), "utf-8")
    config = load(file)
    assert lines
    assert config.gateway.id == "gw-02"
    assert config.uplink["city"].send.without == ("door-*",)
    assert config.bus["cabinet_a"].port == "/dev/ttyUSB0"


def shown() -> list[Any]:
    """Return each command that is shown with its answer."""
    return [
        pytest.param(sample, part, id=f"{sample.page.relative_to(ROOT)}:{sample.line}-{number}")
        for sample in SAMPLES
        if sample.kind == "console"
        for number, part in enumerate(part for part in re.split(r"(?m)^\$ ", sample.text) if part)
    ]


@pytest.mark.parametrize(("sample", "part"), shown())
def test_a_command_says_what_is_shown(
    sample: Sample, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs beside the page's own configuration and profile; the configuration has the two mistakes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "COLUMNS", "120")
    for beside in (one.text for one in samples(sample.page) if one.kind == "toml"):
        name = "acme_m1.toml" if is_profile(beside) else "agent.toml"
        wrong = beside.replace("eastron_sdm120", "eastron_sdm12").replace('"10s"', '"10"')
        (tmp_path / name).write_text(wrong, "utf-8")
    command, _, expected = re.sub(r"\\\n\s*", "", part).partition("\n")
    program, *arguments = shlex.split(command)
    assert program == "edge-agent"
    assert CliRunner().invoke(app, arguments).output == expected
