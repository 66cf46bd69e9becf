"""Change a configuration file as its owner would: comments and order stay."""

from collections.abc import Mapping
from typing import Any

import tomlkit


def changed(text: str, table: str, values: Mapping[str, str]) -> str:
    """Return the text of a file with these values in one of its tables, and all else as it was."""
    document = tomlkit.parse(text)
    for key, value in values.items():
        document[table][key] = value
    return tomlkit.dumps(document)


def with_table(text: str, place: tuple[str, str], values: Mapping[str, Any]) -> str:
    """Return the text of a file with one table of two names, such as device and its id, saying just this."""
    document = tomlkit.parse(text)
    kind, id_ = place
    fresh = _table(values)
    if kind not in document:
        document.add(kind, tomlkit.table(is_super_table=True))
    document[kind][id_] = fresh
    return tomlkit.dumps(document)


def without_table(text: str, place: tuple[str, str]) -> str:
    """Return the text of a file without one table of two names, if it is there."""
    document = tomlkit.parse(text)
    kind, id_ = place
    if id_ in document.get(kind, {}):
        del document[kind][id_]
        if not document[kind]:
            del document[kind]
    return tomlkit.dumps(document)


def _table(values: Mapping[str, Any]) -> Any:
    """Return a table as a person would write it: tables of numbers and texts in one line, others below."""
    table = tomlkit.table()
    for key, value in sorted(values.items(), key=lambda item: _is_below(item[1])):
        if _is_below(value):
            table.add(key, _table(value))
        elif isinstance(value, Mapping):
            table.add(key, _inline(value))
        else:
            table.add(key, value)
    return table


def _is_below(value: object) -> bool:
    """Say whether a value has tables in its tables, and so lines of its own."""
    return isinstance(value, Mapping) and any(
        isinstance(inner, Mapping) and inner.keys() != {"secret"} for inner in value.values()
    )


def _inline(values: Mapping[str, Any]) -> Any:
    table = tomlkit.inline_table()
    for key, value in values.items():
        table.add(key, _inline(value) if isinstance(value, Mapping) else value)
    return table
