"""The file of conf.d that the console writes: reading, checking, writing and comparing it."""

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr

from edge_agent import registry
from edge_agent.registry import UnknownDriverError
from edge_agent.settings.atomic_write import replace_file
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.files import CONF_D, text_of
from edge_agent.settings.last_good import in_clear
from edge_agent.settings.load import Loaded, load_what_runs
from edge_agent.settings.overrides import is_override, is_removal
from edge_agent.settings.validation_errors import dotted

NAME = "50-console.toml"

LARGEST = 256_000
"""Letters that it may have: 500 devices take about half of it."""

_MODE = 0o644  # for those who check; there is no secret in it


def place(config: Path) -> Path:
    """Return its path, for a path of agent.toml."""
    return config.with_name("conf.d") / NAME


def read(config: Path) -> str:
    """Return its text, "" if there is no such file.

    Raises:
        SettingsError: it cannot be read.
    """
    file = place(config)
    return text_of(file) if file.exists() else ""


def write(config: Path, text: str) -> None:
    """Replace its text atomically; "" removes the file.

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
    """Return a digest of a text, to see whether the file has changed since it was read."""
    return hashlib.sha256(text.encode()).hexdigest()


def judged_with(config: Path, text: str) -> Loaded:
    """Return the configuration that the files would give with this text as the console's file.

    Raises:
        SettingsError: they could not be used, or a device of this file could not run, or it holds a secret.
    """
    file = place(config)
    loaded = load_what_runs(config, {file: text})
    own = [problem for problem in loaded.left_out if loaded.files.place(_device(problem))[0] == str(file)]
    problems = [*own, *_secrets(loaded, file)]
    if problems:
        raise SettingsError(problems)
    return loaded


def _device(problem: Problem) -> tuple[str, ...]:
    return tuple(problem.key.split(".")[:2])


def _secrets(loaded: Loaded, file: Path) -> Iterator[Problem]:
    """Yield a problem for each secret in clear: the page shows this file."""
    for found in in_clear(loaded):
        at, line = loaded.files.place(found)
        if at == str(file):
            wrong = "is a secret in clear, and the console shows this file"
            remedy = 'put it into a file in the secrets folder, and write { secret = "its name" }'
            yield Problem(at, line, dotted(found), wrong, remedy)


def words(before: str, after: str) -> tuple[str, ...]:
    """Say what differs between two texts, a few words for each table."""
    was, will = tables(before), tables(after)
    changes = tuple(
        _said(*key, _how(was.get(key), will.get(key)))
        for key in dict.fromkeys((*was, *will))
        if was.get(key) != will.get(key)
    )
    return changes or (("its text changed",) if before != after else ())


def _said(kind: str, id_: str, how: str) -> str:
    bus = kind == "bus"
    match how:
        case "added":
            return f"bus {id_} added" if bus else f"device {id_} added"
        case "removed":
            return f"bus {id_} removed" if bus else f"device {id_} removed"
        case "changed":
            return f"bus {id_} changed" if bus else f"device {id_} changed"
        case _:
            return f"bus {id_} is the installer's again" if bus else f"device {id_} is the installer's again"


def _how(was: object, will: object) -> str:
    """Return how a table changes. One that is removed here may be in effect again from another file."""
    if is_removal(will):
        return "removed"
    if will is None:
        return "back" if is_override(was) else "removed"
    if is_removal(was):
        return "added"
    return "changed" if was is not None or is_override(will) else "added"


def holds_secret(device: object) -> bool:
    """Say whether a device's table has a secret in clear, as far as its driver is known."""
    if not isinstance(device, dict) or not isinstance(settings := device.get("settings"), dict):
        return False
    try:
        fields = registry.load(str(device.get("driver"))).settings.model_fields
    except UnknownDriverError:
        return bool(settings)
    return any(
        isinstance(settings.get(field.alias or name), str) and _is_secret(field.annotation)
        for name, field in fields.items()
    )


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def may_be_shown(text: str) -> bool:
    """Say whether a text is a file of this kind, and no secret stands in it."""
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    return raw.keys() <= {*CONF_D} and not any(map(holds_secret, tables(text).values()))


def tables(text: str) -> dict[tuple[str, str], Any]:
    """Return all tables of a text by kind and id; none of one that cannot be used."""
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError):  # somebody else wrote it
        return {}
    tables = ((kind, raw.get(kind)) for kind in CONF_D)
    return {(kind, id_): one for kind, ids in tables if isinstance(ids, dict) for id_, one in ids.items()}
