"""Links lead to files and headings that are there, and every page of docs is found from the README."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "drivers").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    )
)
# Written by hand for GitHub, which leaves out what is neither a letter, a digit, a hyphen nor a space.
_NO_ANCHOR = re.compile(r"[^\w\- ]")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
# A page that a message, a comment or a unit sends its reader to.
_NAMED = re.compile(r"\bdocs/[\w/-]+\.md\b(?:#[\w-]+)?")


def plain(page: Path) -> str:
    """Return a page without its blocks."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text("utf-8"))


@cache
def anchors(page: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.+)$", plain(page))
    return {_NO_ANCHOR.sub("", heading.strip().lower()).replace(" ", "-") for heading in headings}


def broken(target: str, beside: Path) -> bool:
    """Say whether a relative link leads nowhere."""
    path, _, anchor = target.partition("#")
    file = (beside.parent / path).resolve() if path else beside
    if not file.exists():
        return True
    return bool(anchor) and anchor not in anchors(file)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = _LINK.findall(plain(page))
    assert [link for link in links if "://" not in link and broken(link, page)] == []


def test_a_link_to_nowhere_is_found() -> None:
    here = ROOT / "docs" / "operate.md"
    assert broken("contrct.md", here)
    assert broken("contract.md#comands", here)
    assert not broken("contract.md#commands", here)


def test_every_page_of_docs_is_found_from_the_readme() -> None:
    linked = set(_LINK.findall(plain(ROOT / "README.md")))
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert {page for page in pages if page not in linked} == set()


def test_what_the_program_sends_its_reader_to_is_there() -> None:
    places = (
        *ROOT.glob("edge_agent/**/*.py"),
        *ROOT.glob("systemd/*"),
        *(ROOT / "config").rglob("*"),
        *(ROOT / "scripts").glob("*"),
    )
    named = {
        (path.relative_to(ROOT).as_posix(), found)
        for path in places
        if path.is_file()
        for found in _NAMED.findall(path.read_bytes().decode("utf-8", "replace"))
    }
    assert named
    assert sorted(one for one in named if broken(one[1], ROOT / "README.md")) == []
