"""The file of conf.d that the console writes: what it says, and whether another text may take its place."""

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.last_good import in_clear
from edge_agent.settings.load import Loaded, load_what_runs
from edge_agent.settings.replace import replace_file
from edge_agent.settings.wording import dotted
from edge_agent.settings.written import CONF_D, text_of

NAME = "50-console.toml"

LARGEST = 256_000
"""Letters that it may have: 500 devices take about half of it."""

_MODE = 0o644  # for those who check; there is no secret in it


def place(config: Path) -> Path:
    """Return where it is, beside this agent.toml."""
    return config.with_name("conf.d") / NAME


def read(config: Path) -> str:
    """Return what it says, "" where there is none.

    Raises:
        SettingsError: it cannot be read.
    """
    file = place(config)
    return text_of(file) if file.exists() else ""


def write(config: Path, text: str) -> None:
    """Let it say this, at once and for good; "" takes it away.

    Raises:
        OSError: it cannot be written; then it is as it was.
    """
    file = place(config)
    if not text:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(exist_ok=True)
    replace_file(file, text, _MODE)


def mark(text: str) -> str:
    """Return what tells one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def judged_with(config: Path, text: str) -> Loaded:
    """Return what the files around an agent.toml would make with this text in it.

    Raises:
        SettingsError: they could not be used, or a device of this file could not run, or it holds a secret.
    """
    file = place(config)
    loaded = load_what_runs(config, {file: text})
    own = [problem for problem in loaded.left_out if loaded.written.place(_device(problem))[0] == str(file)]
    problems = [*own, *_secrets(loaded, file)]
    if problems:
        raise SettingsError(problems)
    return loaded


def _device(problem: Problem) -> tuple[str, ...]:
    return tuple(problem.key.split(".")[:2])


def _secrets(loaded: Loaded, file: Path) -> Iterator[Problem]:
    """Find secrets in clear: the page shows this file."""
    for found in in_clear(loaded):
        at, line = loaded.written.place(found)
        if at == str(file):
            wrong = "is a secret in clear, and the console shows this file"
            remedy = 'put it into a file in the secrets folder, and write { secret = "its name" }'
            yield Problem(at, line, dotted(found), wrong, remedy)


def words(before: str, after: str) -> tuple[str, ...]:
    """Say what differs between two texts, a few words for each table."""
    was, will = _tables(before), _tables(after)
    told = []
    for key in dict.fromkeys((*was, *will)):
        how = "added" if key not in was else "removed" if key not in will else "changed"
        if was.get(key) != will.get(key):
            told.append(f"{' '.join(key)} {how}")
    return tuple(told) or (("its text changed",) if before != after else ())


def _tables(text: str) -> dict[tuple[str, str], Any]:
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError):  # somebody else wrote it
        return {}
    tables = ((kind, raw.get(kind)) for kind in CONF_D)
    return {(kind, id_): one for kind, ids in tables if isinstance(ids, dict) for id_, one in ids.items()}
