"""Read a configuration, and find all that is wrong with it at once."""

import copy
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edge_agent.settings import checks, validation_errors
from edge_agent.settings.device import Bus, Device
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.files import ConfigFiles, read_files
from edge_agent.settings.model import Config

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
    """A configuration that can be used. ``left_out`` is what is wrong with devices that are not in it."""

    config: Config
    left_out: tuple[Problem, ...]
    files: ConfigFiles

    def problem(self, finding: validation_errors.Finding) -> Problem:
        """Return a finding of another check as a problem with its file and line."""
        return self.files.problem(finding)


def load_what_runs(path: Path, instead: Mapping[Path, str] = MappingProxyType({})) -> Loaded:
    """Read a configuration without the devices whose profile is broken.

    A profile is a file of its own, which somebody may have changed since the configuration was checked. Files
    of conf.d beside ``path`` add to it; the environment overrides it.
    ``instead`` are texts that stand for what some of these files say now.

    Raises:
        SettingsError: it cannot be used. The error holds every problem that was found.
    """
    return judged(read_files(path, os.environ, instead))


def judged(files: ConfigFiles) -> Loaded:
    """Check all that the files say. Raises as ``load_what_runs``."""
    raw = copy.deepcopy(files.raw)
    named = set(_table(raw, "bus"))
    found: list[validation_errors.Finding] = []
    try:
        config = Config.model_validate(raw)
        buses, devices = config.bus, config.device
    except ValidationError as error:
        found += validation_errors.findings(error, Config)
        _prune(raw, error)
        buses, devices = _sound(Bus, _table(raw, "bus")), _sound(Device, _table(raw, "device"))
    found += [*files.findings, *checks.check(buses, devices, named)]
    problems = sorted(
        map(files.problem, found),
        key=lambda problem: (problem.file != files.file, problem.file, problem.line),
    )
    if not all(finding.alone for finding in found):
        raise SettingsError(problems)
    broken = {finding.alone for finding in found}
    kept = {name: device for name, device in config.device.items() if name not in broken}
    runs = config.model_copy(update={"device": kept}) if broken else config
    return Loaded(runs, tuple(problems), files)


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
