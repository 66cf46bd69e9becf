"""Read agent.toml, and find all that is wrong with it at once."""

import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from edge_agent.settings import checks, planned, wording
from edge_agent.settings.device import Bus, Device
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.lines import line_of, locate, statement_at
from edge_agent.settings.model import Config

_LARGEST = 1_000_000  # bytes; 500 devices take about half of it
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TWICE = re.compile(
    r"Cannot (?:overwrite|declare|mutate)|Duplicate inline table key '(.*?)'"
)  # tomllib's words

M = TypeVar("M", bound=BaseModel)


def load(path: Path) -> Config:
    """Read a configuration that can be used as it is.

    Raises:
        SettingsError: it cannot. The error holds every problem that was found.
    """
    loaded = load_what_runs(path)
    if loaded.left_out:
        raise SettingsError(loaded.left_out)
    return loaded.config


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used. ``left_out`` is what is wrong with devices that are not in it.

    ``problem`` says where in the files something stands that is wrong for another reason.
    """

    config: Config
    left_out: tuple[Problem, ...]
    problem: Callable[[wording.Finding], Problem]


def load_what_runs(path: Path) -> Loaded:
    """Read a configuration without the devices whose profile is broken.

    A profile is a file of its own, which somebody may have changed since the configuration was checked.

    Raises:
        SettingsError: it cannot be used. The error holds every problem that was found.
    """
    text = _text(path)
    raw = _parsed(path, text)
    named = set(_table(raw, "bus"))
    found = list(planned.take_out(raw))
    refused = {finding.path[:-1] for finding in found}
    try:
        config = Config.model_validate(raw)
        buses, devices = config.bus, config.device
    except ValidationError as error:
        # a table that asks for something planned lacks what it would need without that
        found += [
            finding
            for finding in wording.findings(error, Config)
            if finding.wrong != wording.MISSING or finding.path[:-1] not in refused
        ]
        _prune(raw, error)
        buses, devices = _sound(Bus, _table(raw, "bus")), _sound(Device, _table(raw, "device"))
    found += checks.check(buses, devices, named)
    lines = locate(text)

    def problem(finding: wording.Finding) -> Problem:
        place = wording.dotted(finding.path)
        return Problem(str(path), line_of(lines, finding.path), place, finding.wrong, finding.remedy)

    problems = sorted(map(problem, found), key=lambda problem: problem.line)
    if not all(finding.alone for finding in found):
        raise SettingsError(problems)
    broken = {finding.alone for finding in found}
    kept = {name: device for name, device in config.device.items() if name not in broken}
    runs = config.model_copy(update={"device": kept}) if broken else config
    return Loaded(runs, tuple(problems), problem)


def _text(path: Path) -> str:
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for
        _refuse(path, 0, "is no file, but a pipe or a device", "give the file with --config")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        remedy = (
            "give the file with --config"
            if isinstance(error, FileNotFoundError | IsADirectoryError)
            else "let the agent's user read it"
        )
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
            _refuse(path, line, "stands in this file twice", "remove one", wording.dotted(key))
        wrong = "is not TOML: " + _PLACE.sub("", message)
        _refuse(path, line, wrong, 'correct this line, which should look like key = "text"')


def _refuse(path: Path, line: int, wrong: str, remedy: str, key: str = "") -> NoReturn:
    raise SettingsError([Problem(str(path), line, key, wrong, remedy)]) from None


def _table(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = raw.get(key)
    return found if isinstance(found, dict) else {}


def _prune(raw: dict[str, Any], error: ValidationError) -> None:
    """Remove what was refused, so that the rest can still be checked."""
    for found in error.errors(include_url=False, include_input=False, include_context=False):
        place = found["loc"][:-1] if found["type"] == "missing" else found["loc"]
        table = raw
        for depth, step in enumerate(place, 1):
            inner = table.get(str(step))
            if isinstance(inner, dict) and depth < len(place):
                table = inner
            else:
                table.pop(str(step), None)
                break


def _sound(model: type[M], tables: Mapping[str, Any]) -> dict[str, M]:
    sound = {}
    for name, table in tables.items():
        with suppress(ValidationError):
            sound[name] = model.model_validate(table)
    return sound
