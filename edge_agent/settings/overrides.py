"""Tables of conf.d in place of those that stand elsewhere: what an operator changed of the installer's.

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
    """What stands elsewhere and does not hold: its file and line, what it says, and a mark of that."""

    file: str
    line: int
    table: Mapping[str, Any]
    mark: str


def mark_of(table: object) -> str:
    """Return what tells what a table says from all else; its comments and its order do not matter."""
    return hashlib.sha256(json.dumps(table, sort_keys=True, default=str).encode()).hexdigest()[:12]


def is_override(table: object) -> bool:
    """Say whether a table is meant to take another's place."""
    return isinstance(table, dict) and REPLACES in table


def is_removal(table: object) -> bool:
    """Say whether it leaves the other's place empty."""
    return isinstance(table, dict) and table.keys() == {REPLACES, REMOVED} and table[REMOVED] is True


def removal(mark: str) -> dict[str, Any]:
    """Return such a table."""
    return {REPLACES: mark, REMOVED: True}


def wrong(place: KeyPath, table: Mapping[str, Any], other: Overridden | None) -> Iterator[Finding]:
    """Find why a table cannot simply take the place of the other one; None: there is none."""
    key = (*place, REPLACES)
    if other is None:
        message = "takes the place of what stands nowhere any more"
        yield Finding(key, message, f"remove this table, or its line {REPLACES} =")
    elif table[REPLACES] != other.mark:
        message = f"was changed by hand in {other.file}:{other.line} after the console took it over"
        yield Finding(key, message, f'remove this table, or keep it with {REPLACES} = "{other.mark}"')
