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
FOLDER = Path(__file__).parents[2]
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


def written(text: str) -> Iterator[str]:
    """Return every command line of ours in a page: in blocks of a shell, and in backticks."""
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (line.removeprefix("$ ") for line in block.replace("\\\n", " ").splitlines())
    yield from re.findall(
        r"`(?:sudo )?(edge-agent [a-z][^`\n]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    )


COMMANDS = sorted(
    {
        (page.relative_to(FOLDER).as_posix(), line.removeprefix("sudo "))
        for page in (FOLDER / "README.md", FOLDER / "CONTRIBUTING.md", *FOLDER.glob("docs/*.md"))
        for line in written(page.read_text("utf-8"))
        if re.match(r"(sudo )?edge-agent [a-z]", line) and "|" not in line and " ..." not in line
    }
)


def is_a_verb(words: list[str]) -> bool:
    """Say whether this names a verb or a group of them, and nothing that it takes."""
    command: Any = ROOT
    for word in words:
        command = getattr(command, "commands", {}).get(word)
    return command is not None


@pytest.mark.parametrize("line", [pytest.param(line, id=f"{page}: {line}") for page, line in COMMANDS])
def test_a_command_in_the_pages_parses(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line.partition(" > ")[0].partition(" #")[0])[1:]
    for name in (word for word in words if re.fullmatch(r"[\w.-]+\.(jsonl|tar\.gz|toml|pem|crt)", word)):
        Path(name).touch()
    if not is_a_verb(words):
        parses(words)
