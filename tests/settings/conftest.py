"""Loads configurations that begin with a gateway."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from edge_agent.settings.error import SettingsError
from edge_agent.settings.load import load
from edge_agent.settings.model import Config

GATEWAY = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
"""
Loaded = Callable[[str], Config]
Refused = Callable[[str], list[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


@pytest.fixture
def loaded(file: Path) -> Loaded:
    """Load a file with this text after the gateway's."""

    def act(text: str) -> Config:
        file.write_text(GATEWAY + dedent(text), "utf-8")
        return load(file)

    return act


@pytest.fixture
def refused(file: Path) -> Refused:
    """Return the problems of such a file, without its name; line 1 is the first line of the text.

    A text with a ``config`` of its own is the whole file.
    """

    def act(text: str) -> list[str]:
        before = "" if "config =" in text else GATEWAY
        file.write_text(before + dedent(text), "utf-8")
        with pytest.raises(SettingsError) as caught:
            load(file)
        skipped = before.count("\n")
        assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
        return [
            f"{problem.line - skipped}: {problem.key}: {problem.wrong}; {problem.remedy}"
            for problem in caught.value.problems
        ]

    return act
