"""All that people read is translated, with the same values in it, and nothing is said past the catalogues."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from scripts import words

ROOT = Path(__file__).parents[2]
REMEDY = "run `make words`, and write what is not translated into the .po file"

_TOLD = {"say": 0, "confirm": 0, "prompt": 0, "text": 1, "agreed": 0, "secret": 0, "add_column": 0, "Text": 0}
"""Calls, and which argument a person reads. ``stop`` and errors are translated by text/translation.py."""

_WORDS = re.compile(r"[a-z]{3,}|[a-z]+ [a-z]+")
_UNTOLD = {
    "edge_agent/cli/driver_page.py": "makes the drivers' pages, which are in English",
    "edge_agent/cli/devices_page.py": "makes docs/devices.md",
    "edge_agent/cli/profile_trial.py": "is for those who write profiles, and goes to JSON as it is",
}


@pytest.mark.parametrize("language", sorted(words.catalogues()))
def test_each_text_is_translated(language: str) -> None:
    catalogue = words.read(language, words.catalogues()[language])
    assert words.faults(catalogue, words.template()) == [], REMEDY


def untold(source: str) -> Iterator[int]:
    """Return the lines on which something is said, or is a help text, without a translation."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        said = [keyword.value for keyword in node.keywords if keyword.arg in {"help", "short_help", "epilog"}]
        if name in _TOLD:
            said += node.args[_TOLD[name] :][:1]
        yield from (text.lineno for text in said if _is_bare(text))


def _is_bare(text: ast.expr) -> bool:
    match text:
        case ast.Constant(value=str(said)):
            return bool(_WORDS.search(said))
        case ast.JoinedStr(values=parts):
            return any(map(_is_bare, parts))
        case ast.BinOp(left=left, right=right):
            return _is_bare(left) or _is_bare(right)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_bare(body) or _is_bare(orelse)
        case _:
            return False


def test_what_is_said_goes_through_a_catalogue() -> None:
    found = [
        f"{name}:{line}"
        for path in sorted((ROOT / "edge_agent/cli").glob("*.py"))
        if (name := path.relative_to(ROOT).as_posix()) not in _UNTOLD
        for line in untold(path.read_text("utf-8"))
    ]
    assert found == [], "put these texts into tr(...) with {names}, or plural(...)"


@pytest.mark.parametrize(
    "line",
    [
        'say("nothing was found")',
        'say(f"written: {file} is new")',
        'x = Option(help="For programs.")',
        'dialog.agreed("Go on?", default=True)',
        'say("a" if well else "it is not well")',
    ],
)
def test_what_is_not_is_found(line: str) -> None:
    assert list(untold(line)) == [1]


def test_names_and_numbers_need_no_translation() -> None:
    assert list(untold('say(f"{name}: {count} MB")\nsay(tr("it is there"))\nsay("-" * 10)')) == []


_LOGIC = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
_MARKUP = re.compile(
    r"<(script|style|code|pre)\b.*?</\1>|<[^>]*>|&\w+;|[\w-]+=\"[^\"]*\"|edge-agent", re.DOTALL
)


def bare(page: str) -> list[str]:
    """Return the words of a template that are the same in each language."""
    return re.findall(r"[A-Za-z]{3,}", _MARKUP.sub(" ", _LOGIC.sub(" ", page)))


def test_the_pages_say_nothing_past_the_catalogues() -> None:
    pages = sorted((ROOT / "edge_agent/console/pages").glob("**/*.html"))
    assert pages
    assert {page.name: found for page in pages if (found := bare(page.read_text("utf-8")))} == {}
    assert bare('<p class="wide">Not told {{ tr("told") }}</p>') == ["Not", "told"]


def test_a_catalogue_that_lacks_something_is_found() -> None:
    wanted, told = Catalog(), Catalog()
    for text in ("one", "{count} of them", "three"):
        wanted.add(text)
    told.add("one", "eins")
    told.add("{count} of them", "{number} davon")
    told.add("four", "vier")
    assert words.faults(told, wanted) == [
        "is not translated: 'three'",
        "is in no code any more: ('four', None)",
        "has other names in braces: '{count} of them'",
    ]
