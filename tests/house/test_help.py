"""Each verb's ``--help`` has an example, and the command line takes it."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from edge_agent.cli import app

_EXAMPLE = re.compile(r"Example: (sudo )?edge-agent ")
ROOT = typer.main.get_command(app)


def verbs(command: Any = ROOT, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk the tree of verbs down to those that do something."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield above, command
        return
    for name, one in inner.items():
        yield from verbs(one, (*above, name))


def examples(command: Any) -> list[list[str]]:
    lines = (line.strip() for line in (command.help or "").splitlines())
    texts = [line.removeprefix("Example: ").removeprefix("sudo ") for line in lines if _EXAMPLE.match(line)]
    return [shlex.split(text.partition(" > ")[0])[1:] for text in texts]


def parses(words: list[str]) -> None:
    """Parse as far as the verb; raises what the command line would show."""
    command: Any = ROOT
    while inner := getattr(command, "commands", None):
        command, words = inner[words[0]], words[1:]
    command.make_context("edge-agent", list(words))


@pytest.mark.parametrize(
    ("path", "command"), list(verbs()), ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_verb_has_an_example_that_parses(
    path: tuple[str, ...], command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = examples(command)
    assert found, f"edge-agent {' '.join(path)} --help has no line that begins with Example: edge-agent"
    for words in found:
        assert tuple(words[: len(path)]) == path
        for name in (word for word in words if word.endswith((".jsonl", ".tar.gz", ".toml", ".pem"))):
            if "/" not in name:
                Path(name).touch()
        parses(words)


def test_a_wrong_example_is_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parses(["check", "--confg", "agent.toml"])
