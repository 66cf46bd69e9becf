"""What the environment overrides in a configuration, for containers: ``EDGE_AGENT__GATEWAY__ID=gw-02``."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from edge_agent.settings.error import Problem
from edge_agent.settings.validation_errors import KeyPath

PREFIX = "EDGE_AGENT__"
SINGLE, BY_ID = ("gateway", "outbox", "clock", "log"), ("uplink", "bus")
"""The tables that may be overridden, and those that have an id between the table and the key."""


def override(
    raw: dict[str, Any], places: dict[KeyPath, tuple[str, int]], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Put what the variables say into a parsed file, and return what is wrong with their names."""
    for name in sorted(variables):
        if not name.startswith(PREFIX):
            continue
        path = _path(raw, name)
        table: Any = raw
        for step in path[:-1]:
            table = table.setdefault(step, {}) if isinstance(table, dict) else None
        if not path or not isinstance(table, dict):
            remedy = (
                f"write {PREFIX}TABLE__KEY with one of {', '.join(SINGLE)}, "
                f"or {PREFIX}TABLE__ID__KEY with {' or '.join(BY_ID)}"
            )
            yield Problem(f"${name}", 0, "", "names no key that the environment may override", remedy)
            continue
        table[path[-1]] = _value(variables[name])
        places[path] = f"${name}", 0


def _path(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the key path that a variable names, () if none. An id is written with _ for -."""
    steps = name.removeprefix(PREFIX).lower().split("__")
    if all(steps) and steps[0] in SINGLE and len(steps) == len(("table", "key")):
        return tuple(steps)
    if all(steps) and steps[0] in BY_ID and len(steps) >= len(("table", "id", "key")):
        table = raw.get(steps[0])
        known = [id_ for id_ in table if id_.replace("-", "_") == steps[1]] if isinstance(table, dict) else []
        return (steps[0], known[0] if len(known) == 1 else steps[1], *steps[2:])
    return ()


def _value(text: str) -> Any:
    """Read a value as it would stand in the file; what is none, such as an address, is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except ValueError:
        return text
