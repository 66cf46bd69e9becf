"""Configuration files as documents: written anew, or changed with comments kept. The door to tomlkit."""

from collections.abc import Mapping
from typing import Any

import tomlkit


def changed(text: str, table: str, values: Mapping[str, str]) -> str:
    """Return the text of a file with these values in one of its tables, and all else as it was."""
    document = tomlkit.parse(text)
    for key, value in values.items():
        document.setdefault(table, {})[key] = value
    return tomlkit.dumps(document)


def written(tables: Mapping[str, Any]) -> str:
    """Return the text of a file with these tables, and nothing else."""
    document = tomlkit.document()
    for kind, inner in tables.items():
        table = tomlkit.table(is_super_table=True)
        for id_, values in inner.items():
            table.add(id_, _table(values))
        document.add(kind, table)
    return tomlkit.dumps(document).rstrip() + "\n"


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
