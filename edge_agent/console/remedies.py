"""What docs/operate.md says of a line of the log: what it means, and what to do. Read when somebody asks."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PLACES = (Path(sys.prefix, "share/edge-agent/doc"), Path(__file__).parents[2] / "docs")
_ROW = re.compile(r"^\| (`[^|]+`) \|([^|]*)\|([^|]*)\|$", re.MULTILINE)
# Of a line in the tables, what is only an example in it.
_EXAMPLE = re.compile(r"\.\.\.|/dev/ttyUSB0|meter-7|cabinet-a|uplink city|hci0|[0-9]+ s")
_MARKUP = re.compile(r"\[([^]]+)\]\([^)]*\)|`")
_LEAST = 10  # letters by which a line is known


class Remedy(NamedTuple):
    """One row, and by what its line is known: these pieces, in this order."""

    pieces: tuple[str, ...]
    means: str
    do: str


def remedies(language: str) -> list[Remedy]:
    """Return all rows, first those that there are in a language; none where the pages are not there."""
    names = ("zh/operate.md", "operate.md") if language == "zh_CN" else ("operate.md",)
    found = (next((place / name for place in _PLACES if (place / name).is_file()), None) for name in names)
    return [row for file in found if file for row in _rows(file.read_text("utf-8"))]


def _rows(text: str) -> Iterator[Remedy]:
    for lines, *says in _ROW.findall(text):
        means, do = (_MARKUP.sub(r"\1", one).strip() for one in says)
        for line in re.findall(r"`([^`]+)`", lines):
            pieces = tuple(piece for part in _EXAMPLE.split(line) if (piece := part.strip(" ,:;()")))
            if sum(map(len, pieces)) >= _LEAST:
                yield Remedy(pieces, means, do)


def remedy(line: str, known: list[Remedy]) -> Remedy | None:
    """Return the row that says most of a line."""
    fits = [one for one in known if _fits(line, one.pieces)]
    return max(fits, key=lambda one: sum(map(len, one.pieces)), default=None)


def _fits(line: str, pieces: tuple[str, ...]) -> bool:
    at = 0
    for piece in pieces:
        at = line.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True
