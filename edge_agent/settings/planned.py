"""Keys of the configuration's full shape that this version does not support yet.

A file may hold them where they ask for nothing. Anything else is refused: a key that is silently
ignored would be a promise not kept.
"""

from collections.abc import Iterator
from typing import Any

from edge_agent.settings.wording import LATER, Finding, Path

_PLANNED: dict[str, object] = {
    "metrics.listen": "",
    "metrics": {},
}


def take_out(raw: dict[str, Any]) -> Iterator[Finding]:
    """Remove these keys from a parsed file, and return what asks for more than this version can do."""
    for pattern, off in _PLANNED.items():
        for path, value in _taken(raw, tuple(pattern.split("."))):
            if type(value) is not type(off) or value != off:
                yield Finding(path, LATER, "remove it")


def _taken(table: Any, pattern: tuple[str, ...]) -> Iterator[tuple[Path, Any]]:
    if not isinstance(table, dict):
        return  # the model says what is wrong with it
    first, *rest = pattern
    names = list(table) if first == "*" else [first] if first in table else []
    for name in names:
        if not rest:
            yield (name,), table.pop(name)
            continue
        for path, value in _taken(table[name], tuple(rest)):
            yield (name, *path), value
