"""CONTRIBUTING names each module at the root of the agent, and each room, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tree_is_as_contributing_shows_it() -> None:
    rooms = {f"{init.parent.name}/" for init in (ROOT / "edge_agent").glob("*/__init__.py")}
    modules = {file.name for file in (ROOT / "edge_agent").glob("*.py")} - {"__init__.py", "__main__.py"}
    tree = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("In `edge_agent/` a reading")[2]
    assert sorted(re.findall(r"^([a-z_]+(?:/|\.py)) ", tree, re.MULTILINE)) == sorted(
        rooms | modules | {"locale/"}
    )
