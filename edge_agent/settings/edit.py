"""Replace the lines of a table in a configuration file: comments and order of all else stay."""

import tomllib
from collections.abc import Mapping
from typing import Any

from edge_agent.settings.line_numbers import statements


def with_table(text: str, place: tuple[str, str], values: Mapping[str, Any]) -> str:
    """Return the text of a file with one table of two names, such as device and its id, saying just this."""
    return _edited(text, place, values)


def without_table(text: str, place: tuple[str, str]) -> str:
    """Return the text of a file without one table of two names, if it is there."""
    return _edited(text, place, None)


def _edited(text: str, place: tuple[str, str], values: Mapping[str, Any] | None) -> str:
    """Replace the lines of a table. A file whose tables have no lines of their own is written anew.

    Not by way of a document of tomlkit 0.15, in which a table that is put among inline, dotted or
    scattered ones takes over keys that stand behind it.
    """
    from edge_agent.settings.document import written  # noqa: PLC0415 - most agents never change a file

    kind, id_ = place
    raw = tomllib.loads(text)
    wanted = {**raw, kind: {key: one for key, one in raw.get(kind, {}).items() if key != id_}}
    if values is not None:
        wanted[kind][id_] = values
    wanted = {key: table for key, table in wanted.items() if table != {}}
    fresh = written({kind: {id_: values}}) if values is not None else ""
    edited = _replaced(text, place, fresh)
    try:
        if {key: table for key, table in tomllib.loads(edited).items() if table != {}} == wanted:
            return edited
    except tomllib.TOMLDecodeError:
        pass
    return written(wanted)


def _replaced(text: str, place: tuple[str, str], fresh: str) -> str:
    """Return the text with other lines where those under the headers of a table were; else at its end."""
    lines = text.splitlines(keepends=True)
    headers = [(line - 1, path) for path, line, header in statements(text) if header]
    starts = [_with_comments(lines, line) for line, _ in headers]
    ends = [*starts[1:], len(lines)][: len(starts)]
    kept: list[str] = lines[: starts[0]] if starts else lines
    put = False
    for (line, path), start, end in zip(headers, starts, ends, strict=True):
        if path[:2] != place:
            kept += lines[start:end]
        elif fresh and not put:
            kept += [*lines[start:line], fresh, *(["\n"] if end < len(lines) else [])]
            put = True
    if fresh and not put:
        if kept and not kept[-1].endswith("\n"):
            kept.append("\n")
        kept += [*(["\n"] if kept else []), fresh]
    return "".join(kept)


def _with_comments(lines: list[str], header: int) -> int:
    """Return where the comment directly above a header begins."""
    while header and lines[header - 1].lstrip().startswith("#"):
        header -= 1
    return header
