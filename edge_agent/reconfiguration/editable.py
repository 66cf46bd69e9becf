"""The content of the configuration files, without secrets, as the console shows and edits it."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.settings import console_file, files, overrides
from edge_agent.settings.environment import PREFIX
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.files import CONF_D, read_files

Place = tuple[str, str]
"""A table's kind, bus or device, and its id."""


@dataclass(frozen=True, slots=True)
class EditableConfig:
    """The text of the console's file, and the buses and devices of all files.

    ``tables`` are the buses and devices in effect, ``places`` the file and line of each. ``marks`` are
    digests of those in other files, with which the console's file overrides them; ``overridden`` is the file
    and line of those that it does override. Those in ``secret`` hold a secret in clear, and are left out of
    ``tables``. If the files cannot be used, there are ``problems``, and of the rest what may be shown.
    """

    file: str
    text: str
    mark: str
    tables: Mapping[Place, Mapping[str, Any]] = field(default_factory=dict)
    places: Mapping[Place, tuple[str, int]] = field(default_factory=dict)
    marks: Mapping[Place, str] = field(default_factory=dict)
    overridden: Mapping[Place, tuple[str, int]] = field(default_factory=dict)
    secret: frozenset[Place] = frozenset()
    problems: tuple[Problem, ...] = ()


def read(config: Path) -> EditableConfig:
    """Read an agent.toml and its conf.d."""
    file, text, problems = str(console_file.place(config)), "", tuple[Problem, ...]()
    found: files.ConfigFiles | None = None
    try:
        text = console_file.read(config)
        found = console_file.judged_with(config, text).files
    except SettingsError as error:
        problems = error.problems
        with suppress(SettingsError):  # they can be read, and do not fit together
            found = read_files(config, os.environ)
    mark = console_file.mark(text)
    if problems and not console_file.may_be_shown(text):
        return EditableConfig(file, "", mark, problems=problems)
    if found is None:
        return EditableConfig(file, text, mark, problems=problems)
    tables = {
        (kind, id_): table
        for kind in CONF_D
        for id_, table in _tables(found.raw.get(kind))
        if isinstance(table, dict)
    }
    secret = frozenset(place for place, table in tables.items() if console_file.holds_secret(table))
    places = {place: found.place(place) for place in tables}
    bare = read_files(config, {}) if any(name.startswith(PREFIX) for name in os.environ) else found
    marks = {
        (kind, id_): overrides.mark_of(table)
        for kind in CONF_D
        for id_, table in _tables(bare.raw.get(kind))
        if bare.place((kind, id_))[0] != file
    }
    return EditableConfig(
        file,
        text,
        mark,
        {place: table for place, table in tables.items() if place not in secret},
        places,
        marks | {place: other.mark for place, other in found.overridden.items()},
        {place: (other.file, other.line) for place, other in found.overridden.items()},
        secret,
        problems,
    )


def _tables(content: object) -> list[tuple[str, Any]]:
    return list(content.items()) if isinstance(content, dict) else []
