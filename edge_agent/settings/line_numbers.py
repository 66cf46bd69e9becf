"""On which line of a TOML text each key stands. tomllib does not tell.

A line locator, not a parser: the text has been parsed before, so this may take everything for valid.
Given something else it finds fewer keys, or wrong ones, and never raises.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence

KeyPath = tuple[str | int, ...]
Lines = Mapping[KeyPath, int]

_SPACE = re.compile(r"[ \t\r]*")
_KEY = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+')
# One piece of a value: a string of any kind whole, a comment, a bracket, or anything else.
_PIECE = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{1,2}(?!"))?|\'\'\'.*?\'\'\'(?:\'{1,2}(?!\'))?'
    r'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|\n|[^"\'#\n\[\]{}]+|.',
    re.DOTALL,
)


def locate(text: str) -> Lines:
    """Return the line, from 1, of every key path. Keys in an inline table share the line of its key."""
    found: dict[KeyPath, int] = {}
    for whole, line, header in statements(text):
        for size in range(1, len(whole) + 1):
            found.setdefault(whole[:size], line)
        if header:
            found[whole] = line  # a table may have been mentioned before, by one inside it
    return found


def element_lines(text: str, key: str) -> list[int]:
    """Return the line of each table in a top-level list of tables, in either way of writing one."""
    found: list[int] = []
    for whole, line, header in statements(text):
        if whole == (key,) and header:
            found.append(line)
        elif whole == (key,):
            found += _inline_tables(text, line)
    return found


def _inline_tables(text: str, line: int) -> Iterator[int]:
    """Return the line of each ``{`` directly inside the ``[ ]`` that begins on a line."""
    at, depth = sum(map(len, text.splitlines(keepends=True)[: line - 1])), 0
    while at < len(text):
        found = _PIECE.match(text, at)
        piece = found[0] if found else text[at]
        at += len(piece)
        if piece == "{" and depth == 1:
            yield line
        line += piece.count("\n")
        depth += (piece in "[{") - (piece in "]}")
        if depth == 0 and piece == "]":
            return


def statement_at(text: str, line: int) -> KeyPath:
    """Return the key path of the statement that a line belongs to."""
    found: KeyPath = ()
    for whole, begins, _ in statements(text):
        if begins > line:
            break
        found = whole
    return found


def statements(text: str) -> Iterator[tuple[KeyPath, int, bool]]:
    """Return every statement's whole key path, the line it begins on, and whether it heads a table."""
    table: KeyPath = ()
    at, line = 0, 1
    while at < len(text):
        at = _after(_SPACE, text, at)
        header = text.startswith("[", at)
        if header:
            at += 2 if text.startswith("[[", at) else 1
        path, at = _key_path(text, at)
        if path:
            whole = path if header else table + path
            table = whole if header else table
            yield whole, line, header
        at, passed = _rest(text, at)
        line += passed


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _key_path(text: str, at: int) -> tuple[KeyPath, int]:
    """Read ``a."b c".d`` and return its parts, and where it ends."""
    parts: list[str] = []
    while found := _KEY.match(text, _after(_SPACE, text, at)):
        parts.append(_plain(found[0]))
        at = _after(_SPACE, text, found.end())
        if not text.startswith(".", at):
            break
        at += 1
    return tuple(parts), at


def _plain(key: str) -> str:
    if key[0] not in "\"'":
        return key
    try:
        return str(tomllib.loads(f"k = {key}")["k"])
    except tomllib.TOMLDecodeError:
        return key[1:-1]


def _rest(text: str, at: int) -> tuple[int, int]:
    """Go behind the end of a statement. Returns where that is and how many lines were passed."""
    depth = lines = 0
    while at < len(text):
        found = _PIECE.match(text, at)
        piece = found[0] if found else text[at]
        at += len(piece)
        lines += piece.count("\n")
        if piece == "\n" and depth <= 0:
            break
        depth += (piece in "[{") - (piece in "]}")
    return at, lines


def line_of(lines: Lines, path: Sequence[str | int]) -> int:
    """Return the line of a key, or of the nearest table around it; 1 if there is none."""
    for size in range(len(path), 0, -1):
        if (line := lines.get(tuple(path[:size]))) is not None:
            return line
    return 1
