"""Tables of conf.d that override those of other files: an operator's changes to the installer's devices.

The service may not write agent.toml. So the console writes a whole table of the same id with ``replaces``: a
mark of the table that it was made from; with ``removed`` instead of keys nothing is in its place. Once
somebody changes the other table by hand its mark is another, and both are named: no change is lost unseen.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.settings.validation_errors import Finding, KeyPath

REPLACES, REMOVED = "replaces", "removed"


@dataclass(frozen=True, slots=True)
class Overridden:
    """A table that is overridden: its file and line, its content, and a digest of that."""

    file: str
    line: int
    table: Mapping[str, Any]
    mark: str


def mark_of(table: object) -> str:
    """Return a digest of a table's content; comments and the order of keys do not matter."""
    return hashlib.sha256(json.dumps(table, sort_keys=True, default=str).encode()).hexdigest()[:12]


def is_override(table: object) -> bool:
    """Say whether a table overrides another one."""
    return isinstance(table, dict) and REPLACES in table


def is_removal(table: object) -> bool:
    """Say whether a table overrides another one by removing it."""
    return isinstance(table, dict) and table.keys() == {REPLACES, REMOVED} and table[REMOVED] is True


def removal(mark: str) -> dict[str, Any]:
    """Return a table that removes another one."""
    return {REPLACES: mark, REMOVED: True}


def wrong(place: KeyPath, table: Mapping[str, Any], other: Overridden | None) -> Iterator[Finding]:
    """Yield what is wrong with an override of ``other``, which is None if no other file has that id."""
    key = (*place, REPLACES)
    if other is None:
        message = "takes the place of what stands nowhere any more"
        yield Finding(key, message, f"remove this table, or its line {REPLACES} =")
    elif table[REPLACES] != other.mark:
        message = f"was changed by hand in {other.file}:{other.line} after the console took it over"
        yield Finding(key, message, f'remove this table, or keep it with {REPLACES} = "{other.mark}"')
