"""The pages in Chinese show the same commands, files and lines of the log as those in English."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAIRS = {"README.zh.md": "README.md", "docs/zh/operate.md": "docs/operate.md"}

_BLOCK = re.compile(r"^```\w+\n.*?^```", re.MULTILINE | re.DOTALL)
_FIRST_CELL = re.compile(r"^\| (`.+?`) \|", re.MULTILINE)


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


@pytest.mark.parametrize("page", PAIRS)
def test_its_blocks_are_those_of_the_english_page(page: str) -> None:
    assert set(_BLOCK.findall(text(page))) <= set(_BLOCK.findall(text(PAIRS[page])))


def test_the_readme_has_blocks_and_the_operators_page_lines() -> None:
    assert len(_BLOCK.findall(text("README.zh.md"))) > 4
    assert len(_FIRST_CELL.findall(text("docs/zh/operate.md"))) > 30


def test_each_line_that_is_explained_is_explained_in_english() -> None:
    english = text("docs/operate.md")
    assert [line for line in _FIRST_CELL.findall(text("docs/zh/operate.md")) if line not in english] == []


@pytest.mark.parametrize("page", PAIRS)
def test_the_pages_name_each_other(page: str) -> None:
    for one, other in ((page, PAIRS[page]), (PAIRS[page], page)):
        link = Path(os.path.relpath(ROOT / other, (ROOT / one).parent)).as_posix()
        assert f"]({link})" in text(one), one
