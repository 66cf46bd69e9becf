"""What a verb says cannot steer the terminal, is JSON where it was asked for, and nothing after Ctrl-C."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.cli.say import say, tell
from edge_agent.text import formatting
from tests.cli.verb import finished

ESCAPE = "\x1b[2J"
EVIL = f"{ESCAPE}\x9b31m\x7f\udcff"
HARMLESS = r"\u001b[2J\u009b31m\u007f\udcff"


def test_control_characters_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"a{EVIL}\tb\nc")
    say(EVIL, error=True, end="")
    assert capsys.readouterr() == (f"a{HARMLESS}\tb\nc\n", HARMLESS)
    assert formatting.value("a\n" + EVIL) == r"a\n" + HARMLESS


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    tell({EVIL: f"a\n{EVIL}", "label": "电压"})
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "电压" in line
    assert HARMLESS in line
    assert json.loads(line) == {EVIL: f"a\n{EVIL}", "label": "电压"}


def test_a_terminal_cuts_no_word_in_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    line = "  values: voltage 230.5 V, /dev/serial/by-id/usb-that-is-long"
    say(line, filled=True)
    assert capsys.readouterr().out == f"{line}\n", "in a pipe a line is a line"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    say(line, filled=True)
    told = "  values: voltage\n      230.5 V,\n      /dev/serial/by-id/usb-that-is-long\n"
    assert capsys.readouterr().out == told


def test_an_unknown_driver_has_no_profiles_to_list() -> None:
    result = CliRunner().invoke(app, ["profile", "list", "--driver", "modbuss"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean modbus" in result.stderr


@pytest.mark.parametrize("kind", ["serial", "driver", "settings"])
def test_a_capture_cannot_steer_the_terminal(tmp_path: Path, kind: str) -> None:
    head = {"capture": 1, "version": "1", "serial": "9600 8N1", "driver": "ld2410"}
    head[kind] = {ESCAPE: ESCAPE} if kind == "settings" else ESCAPE
    file = tmp_path / "evil.jsonl"
    file.write_text(f'{json.dumps(head)}\n{{"t": 0, "heard": "00"}}\n', "utf-8")
    for words in (("replay", str(file), "--for", "10ms"), ("decode", "--capture", str(file))):
        result = CliRunner().invoke(app, words, color=True)
        assert result.exit_code in {0, 1, 2}
        assert "\x1b" not in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("read", "nobody", "--config", "none.toml"),
        ("read", "nobody", "--within", "soon"),
        ("scan", "serial", "/dev/none"),
        ("scan", "serial", "/dev/none", "--within", "soon"),
        ("scan", "serial", "tcp://\udcff"),
        ("listen", "/dev/none"),
        ("profile", "test", "none"),
        ("drivers", "sample", "modbus"),
        ("demo", "--for", "0s"),
    ],
)
def test_what_cannot_be_done_is_json_too(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == (78 if "none.toml" in words else 2)
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["error"]
    assert "Traceback" not in result.output


async def test_ctrl_c_while_it_begins_says_nothing() -> None:
    """In the middle of loading, where Python would tell of it with a page of its own inside."""
    begin = (
        "import os, signal, sys\n"
        "import edge_agent.__main__ as way_in\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'pydantic':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "way_in.main()\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", begin, "check", "-c", os.devnull),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said = await finished(process)
    assert (said.code, said.out, said.err) == (-2, "", "")


@pytest.mark.parametrize("words", ["version", "--help", "check -c config/agent.toml", "demo --for 1s"])
def test_what_cannot_be_printed_is_one_line(words: str) -> None:
    root = Path(__file__).parents[2]
    with Path("/dev/full").open("wb") as full:
        said = subprocess.run(
            (sys.executable, "-m", "edge_agent", *words.split()),
            stdout=full, stderr=subprocess.PIPE, cwd=root, check=False, timeout=60,
        )  # fmt: skip
    lines = [line for line in said.stderr.decode().splitlines() if " INFO " not in line]
    wrong = "what is printed cannot be written (No space left on device); print it elsewhere"
    assert (said.returncode, lines) == (os.EX_IOERR, [wrong])


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run(
        (sys.executable, "-m", "edge_agent", "drivers"),
        stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert said.stderr == b""
