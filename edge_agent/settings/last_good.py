"""The last configuration that ran, kept beside the outbox for a start at which the files cannot be used.

Secrets are not in it: a reference stays one, and what was written in clear is looked up once more in the
files, as far as these can be read.
"""

import json
import logging
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from edge_agent.settings.environment import override
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.files import ConfigFiles, read_files
from edge_agent.settings.line_numbers import locate
from edge_agent.settings.load import Loaded, judged
from edge_agent.settings.model import Outbox
from edge_agent.settings.resolve import chosen

log = logging.getLogger(__name__)

_IN_CLEAR = {"secret": ""}
"""Stands for a secret that was written in clear; no reference is like this."""

_LARGEST = 10_000_000


def beside(outbox: Path) -> Path:
    """Return its path, for the path of an outbox."""
    return outbox.with_name(f"{outbox.name}.last-good.json")


def keep(path: Path, loaded: Loaded) -> None:
    """Save a configuration that runs, atomically; nothing is written if it did not change.

    Raises:
        OSError: it cannot be written.
    """
    raw = json.loads(json.dumps(loaded.files.raw, default=str))  # dates have a text of their own
    for place in in_clear(loaded):
        _put(raw, place, _IN_CLEAR)
    text = json.dumps({"of": str(path.absolute()), "config": raw}, indent=1)
    file = beside(loaded.config.outbox.path)
    with suppress(OSError):
        if file.read_text("utf-8") == text:
            return
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(file)


def find(path: Path) -> Loaded | None:
    """Return the last good configuration, for an agent.toml that cannot be used; None if there is none."""
    for outbox in _outboxes(path):
        with suppress(OSError, ValueError, KeyError, TypeError, SettingsError):
            file = beside(outbox)
            with file.open("rb") as opened:
                kept = json.loads(opened.read(_LARGEST))
            if kept["of"] == str(path.absolute()):
                return _judged(path, file, kept["config"])
    return None


def _judged(path: Path, file: Path, raw: dict[str, Any]) -> Loaded:
    """Check it as it is now: profiles and secrets may have gone. Raises SettingsError."""
    now: dict[str, Any] = {}
    list(override(now, {}, os.environ))  # these can be read whatever the files are
    with suppress(SettingsError):
        now = read_files(path, os.environ).raw
    lacking = []
    for place in list(_marked(raw)):
        if isinstance(told := _at(now, place), str):
            _put(raw, place, told)
            continue
        wrong = "was written in clear, which is not kept, and cannot be read now"
        remedy = 'correct the configuration; { secret = "name" } would have been found'
        problem = Problem(str(file), 0, ".".join(place), wrong, remedy)
        if place[0] == "device":
            lacking.append(problem)
            _drop(raw, place[:2])
        else:
            log.error("%s", problem)
            _drop(raw, place)
    loaded = judged(ConfigFiles(str(file), raw))
    return Loaded(loaded.config, (*lacking, *loaded.left_out), loaded.files)


def _outboxes(path: Path) -> Iterator[Path]:
    """Yield where the outbox may be, as far as an agent.toml that cannot be used tells."""
    if named := os.environ.get("EDGE_AGENT__OUTBOX__PATH"):
        yield Path(named)
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text("utf-8-sig") if path.is_file() else ""  # a pipe would be waited for
        lines, places = text.splitlines(), locate(text)
        for place in (("outbox", "path"), ("outbox",)):  # a line of its own, or an inline table
            with suppress(KeyError, TypeError, tomllib.TOMLDecodeError):
                table = tomllib.loads(lines[places[place] - 1])
                yield Path(str(table.get("outbox", table)["path"]))
    yield Outbox().path


def in_clear(loaded: Loaded) -> Iterator[tuple[str, ...]]:
    """Yield the key paths of secrets that are written in clear."""
    raw = loaded.files.raw
    for name, uplink in loaded.config.uplink.items():
        for key in type(uplink).model_fields:
            place = ("uplink", name, key)
            if isinstance(getattr(uplink, key), SecretStr) and isinstance(_at(raw, place), str):
                yield place
    for id_, device in loaded.config.device.items():
        _, settings = chosen(device)
        for key in type(settings).model_fields:
            setting = "device", id_, "settings", key
            if isinstance(getattr(settings, key), SecretStr) and isinstance(_at(raw, setting), str):
                yield setting


def _marked(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        if value == _IN_CLEAR:
            yield (*above, key)
        elif isinstance(value, dict):
            yield from _marked(value, (*above, key))


def _at(table: Any, place: tuple[str, ...]) -> Any:
    for step in place:
        table = table.get(step) if isinstance(table, dict) else None
    return table


def _put(table: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    _at(table, place[:-1])[place[-1]] = value


def _drop(table: dict[str, Any], place: tuple[str, ...]) -> None:
    above = _at(table, place[:-1])
    if isinstance(above, dict):
        above.pop(place[-1], None)
