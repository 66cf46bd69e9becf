"""Reads and merges the files of a configuration: agent.toml, conf.d, and overrides of the environment.

Nothing is judged here but what makes it one: each thing stands in one place, and conf.d, which the service
may write, holds nothing that could send readings or secrets elsewhere.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from edge_agent.settings import environment, overrides
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.line_numbers import locate, statement_at
from edge_agent.settings.overrides import Overridden
from edge_agent.settings.validation_errors import Finding, KeyPath, dotted

_LARGEST = 1_000_000  # bytes; 500 devices take about half of it
_MOST_FILES = 100
_FOLDER = "conf.d"
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TWICE = re.compile(
    r"Cannot (?:overwrite|declare|mutate)|Duplicate inline table key '(.*?)'"
)  # tomllib's words

Lines = Mapping[KeyPath, tuple[str, int]]
"""File and line of each key."""

_Instead = tuple[tuple[str, str], dict[str, Any], Lines]
"""A table that stands in the place of another: its place, what it says, and where its file has what."""

CONF_D = ("bus", "device")
"""The tables that a file of conf.d may have."""


@dataclass(slots=True)
class ConfigFiles:
    """All of it as one: ``raw`` as it would stand in one file, and where each key of it is: file and line.

    ``overridden`` are tables in whose place others stand; ``findings`` is what is wrong with that.
    """

    file: str
    raw: dict[str, Any]
    places: dict[KeyPath, tuple[str, int]] = field(default_factory=dict)
    overridden: dict[tuple[str, str], Overridden] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def place(self, path: KeyPath) -> tuple[str, int]:
        """Return where a key stands, or the nearest table around it; else line 1 of the file."""
        found = (self.places.get(path[:size]) for size in range(len(path), 0, -1))
        return next((place for place in found if place is not None), (self.file, 1))

    def problem(self, finding: Finding) -> Problem:
        """Say where it is that something is wrong."""
        return Problem(*self.place(finding.path), dotted(finding.path), finding.wrong, finding.remedy)


def read_files(
    path: Path, variables: Mapping[str, str], instead: Mapping[Path, str] = MappingProxyType({})
) -> ConfigFiles:
    """Read agent.toml, what is beside it in conf.d, and the variables that override it.

    ``instead`` are texts of files of conf.d that stand for what is there.

    Raises:
        SettingsError: one cannot be read, or they do not make one. The error holds every problem.
    """
    problems: list[Problem] = []
    files = ConfigFiles(str(path), {})
    in_place: list[_Instead] = []
    for file in (path, *sorted({*_beside(path), *instead})):
        try:
            text = instead[file] if file in instead else text_of(file)
            raw = _parsed(file, text)
        except SettingsError as error:
            problems += error.problems
            continue
        lines = {place: (str(file), line) for place, line in locate(text).items()}
        if file is path:
            files.raw, files.places = raw, lines
        else:
            in_place += _apart(raw, lines)
            problems += _add(files, raw, lines)
    if in_place:
        _take_over(files, in_place)
    problems += environment.override(files.raw, files.places, variables)
    if problems:
        raise SettingsError(problems)
    return files


def _beside(path: Path) -> list[Path]:
    """Return the files of conf.d, in the order of their names."""
    folder = path.parent / _FOLDER
    try:
        # editors keep unfinished copies beside a file, under names that begin with a dot
        found = sorted(file for file in folder.iterdir() if file.suffix == ".toml" and file.name[0] != ".")
    except FileNotFoundError:
        return []
    except OSError as error:
        _refuse(folder, 0, f"cannot be read ({error.strerror})", "let the agent's user read it")
    if len(found) > _MOST_FILES:
        _refuse(folder, 0, f"has more than {_MOST_FILES} files", "put several devices into one")
    for file in found:
        name = os.fsencode(file.name).decode("utf-8", "backslashreplace")
        if name != file.name:  # no log, JSON or MQTT could name it
            _refuse(folder, 0, f"has a file whose name is not UTF-8 ({name})", "give it another name")
    return found


def _apart(raw: dict[str, Any], lines: Lines) -> Iterator[_Instead]:
    """Take the overriding tables out of a file, and yield them."""
    for kind in CONF_D:
        content = raw.get(kind)
        if not isinstance(content, dict):
            continue
        for id_, one in list(content.items()):
            if overrides.is_override(one):
                yield (kind, id_), content.pop(id_), lines


def _take_over(files: ConfigFiles, instead: Sequence[_Instead]) -> None:
    for place, one, _ in instead:
        known = files.raw.setdefault(place[0], {})
        if not isinstance(known, dict):
            return  # the model says what is wrong with it
        other = None
        if place[1] in known:
            table = known[place[1]]
            other = Overridden(*files.place(place), table, overrides.mark_of(table))
            files.overridden[place] = other
        files.findings += overrides.wrong(place, one, other)
        if overrides.is_removal(one):
            known.pop(place[1], None)
        else:
            known[place[1]] = {key: value for key, value in one.items() if key != overrides.REPLACES}
    gone = {place for place, _, _ in instead}
    files.places = {key: at for key, at in files.places.items() if key[:2] not in gone}
    for place, _, lines in instead:
        files.places |= {key: at for key, at in lines.items() if key[:2] == place}


def _add(files: ConfigFiles, raw: Mapping[str, Any], lines: Lines) -> list[Problem]:
    """Add the tables of a file of conf.d; return what may not be added."""
    problems = []
    for table, content in raw.items():
        if table not in CONF_D or not isinstance(content, dict):
            wrong = "may not stand in conf.d, which the service can write"
            problems.append(Problem(*lines[table,], table, wrong, f"move it to {files.file}"))
            continue
        known = files.raw.setdefault(table, {})
        for id_, one in content.items():
            place = table, id_
            if not isinstance(known, dict):
                break  # the model says what is wrong with it
            if id_ in known:
                there = "{}:{}".format(*files.place(place))
                key = dotted(place)
                problems.append(Problem(*lines[place], key, f"stands in {there} too", "remove one"))
            else:
                known[id_] = one
                files.places |= {key: at for key, at in lines.items() if key[:2] == place}
    return problems


def text_of(path: Path) -> str:
    """Return the text of a file of a configuration, without a byte order mark.

    Raises:
        SettingsError: it cannot be read, or is none.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for
            _refuse(path, 0, "is no file, but a pipe or a device", "give the file with --config")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        remedy = "let the agent's user read it"
        if isinstance(error, FileNotFoundError | IsADirectoryError):
            remedy = "take it out of conf.d" if path.parent.name == _FOLDER else "give the file with --config"
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            _refuse(path, 0, f"is a link to {path.readlink()}, which is not there", remedy)
        _refuse(path, 0, f"cannot be read ({error.strerror})", remedy)
    if len(content) > _LARGEST:
        _refuse(path, 0, f"is larger than {_LARGEST} bytes", "give a configuration, not another file")
    try:
        return content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        _refuse(path, line, "is not UTF-8 text", "save the file as UTF-8")


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        _refuse(path, 0, "is nested too deeply", "give a configuration, not another file")
    except ValueError as error:
        message = str(error)
        place = _PLACE.search(message)
        line = (int(place[1]) if place[1] else text.rstrip().count("\n") + 1) if place else 0
        if line and (twice := _TWICE.match(message)):
            key = (*statement_at(text, line), *([twice[1]] if twice[1] else []))
            _refuse(path, line, "stands in this file twice", "remove one", dotted(key))
        wrong = "is not TOML: " + _PLACE.sub("", message)
        _refuse(path, line, wrong, 'correct this line, which should look like key = "text"')


def _refuse(path: Path, line: int, wrong: str, remedy: str, key: str = "") -> NoReturn:
    raise SettingsError([Problem(str(path), line, key, wrong, remedy)]) from None
