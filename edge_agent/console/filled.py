"""Between the text in a form's fields and the table of TOML that it stands for."""

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from typing import Any

from edge_agent.console.fields import YES_NO, Field, Kind
from edge_agent.onsite import toml_text

_TRUE_FALSE = {"true": True, "yes": True, "false": False, "no": False}
_MOST_ROWS = 100
_DEEPEST = 20
_EXACT = 2.0**53  # below it, each whole number is a float, too


def filled(fields: Iterable[Field], table: Mapping[str, Any]) -> list[Field]:
    """Return fields with what a table says."""
    return [replace(field, value=_written(_at(table, field.name), field.kind)) for field in fields]


def given(fields: Iterable[Field], told: Mapping[str, str]) -> list[Field]:
    """Return fields with what somebody wrote into them."""
    return [replace(field, value=_told(field, told)) for field in fields]


def _told(field: Field, told: Mapping[str, str]) -> str:
    if field.kind == "pair":
        return _row(field.name, told).strip("\n")
    if field.kind == "points":
        rows = (_row(f"{field.name}.{number}", told) for number in range(_MOST_ROWS))
        return "\n".join(row for row in rows if row)
    return told.get(field.name, "").strip()


def _row(name: str, told: Mapping[str, str]) -> str:
    both = [told.get(f"{name}.{side}", "").strip() for side in (0, 1)]
    return "\t".join(both) if any(both) else ""


def grouped(fields: Iterable[Field]) -> list[tuple[str, list[Field]]]:
    """Return fields in their groups, in their order."""
    return [(group, list(members)) for group, members in groupby(fields, key=lambda field: field.group)]


def put(table: dict[str, Any], fields: Sequence[Field]) -> None:
    """Change a table to what the fields say; an empty one takes its key away. Other keys stay."""
    for field in fields:
        *above, key = field.name.split(".")
        inner = table
        for step in above:
            inner = inner.setdefault(step, {})
        if field.value:
            inner[key] = _read(field)
        else:
            inner.pop(key, None)
    _prune(table)


def _prune(table: dict[str, Any]) -> None:
    """Take away what is empty now."""
    for key, value in list(table.items()):
        if isinstance(value, dict):
            _prune(value)
            if not value:
                del table[key]


def _read(field: Field) -> Any:  # noqa: PLR0911 - one for each kind
    """Return the value of a field's text; what is none stays text, and is refused with its reason."""
    text = field.value
    match field.kind:
        case "number":
            return _number(text)
        case "choice" if field.choices == YES_NO:
            return text == "true"
        case "choice" if field.whole:
            return _number(text)
        case "list":
            return [part.strip() for part in text.split(",") if part.strip()]
        case "secret":
            return {"secret": text}
        case "lines":
            return _table(text)
        case "points":
            return [[_number(low), _number(high)] for _, low, high in field.rows if low or high]
        case "pair":
            ((_, low, high),) = field.rows
            return [_number(low) if low else -math.inf, _number(high) if high else math.inf]
        case "any":
            return _TRUE_FALSE.get(text.lower(), _number(text))
        case _:
            return text


def _number(text: str) -> int | float | str:
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def _table(text: str) -> dict[str, Any] | str:
    try:
        found = tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError):  # the latter: thousands of brackets
        return text
    return found if _is_plain(found, _DEEPEST) else text


def _is_plain(value: Any, within: int) -> bool:
    """Say whether a value is of numbers, texts, and lists and tables that are not too deep in each other."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return within > 0 and all(_is_plain(one, within - 1) for one in inner)
    return isinstance(value, str | int | float)


def _written(value: Any, kind: Kind = "text") -> str:  # noqa: PLR0911 - one for each shape
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case {"secret": name} if kind == "secret":
            return str(name)
        case Mapping():
            return "\n".join(f"{toml_text.value(key)} = {toml_text.value(one)}" for key, one in value.items())
        case [low, high] if kind == "pair":
            return f"{_bound(low)}\t{_bound(high)}"
        case list() if kind == "points":
            return "\n".join("\t".join(map(_written, point)) for point in value if isinstance(point, list))
        case list() | tuple():
            return ", ".join(map(str, value))
        case float() if value.is_integer() and abs(value) < _EXACT:
            return str(int(value))
    return str(value)


def _bound(value: Any) -> str:
    return "" if isinstance(value, float) and math.isinf(value) else _written(value)


def _at(table: Any, name: str) -> Any:
    for step in name.split("."):
        table = table.get(step) if isinstance(table, Mapping) else None
    return table


def blamed(
    fields: Iterable[Field], problems: Iterable[Mapping[str, Any]], table: str
) -> tuple[list[Field], list[str]]:
    """Put each problem to its field; return those, too, that belong to none, with their places."""
    known, others = {field.name: field for field in fields}, []
    for problem in problems:
        key = re.sub(r"\[\d+\]", "", str(problem["key"]))
        told = f"{problem['wrong']}; {problem['remedy']}"
        if key == table and "is not an id" in told:
            key = f"{table}.id"
        name = _meant(key.removeprefix(f"{table}."), known) if key.startswith(f"{table}.") else None
        if name is None:
            place = f"{problem['file']}:{problem['line']}: " if problem["line"] else f"{problem['file']}: "
            others.append(f"{place}{problem['key']}: {told}" if problem["key"] else place + told)
        else:
            known[name] = replace(known[name], wrong=told)
    return list(known.values()), others


def _meant(key: str, known: Iterable[str]) -> str | None:
    """Return the field of a key: its own, that of a table around it, or the first one inside it."""
    names = list(known)
    steps = key.split(".")
    above = (".".join(steps[:size]) for size in range(len(steps), 0, -1))
    found = next((name for name in above if name in names), None)
    return found or next((name for name in names if name.startswith(f"{key}.")), None)
