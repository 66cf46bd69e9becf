"""Where device profiles are found: TOML files in the packages named by ``edge_agent.profiles`` entry points.

The entry point's name is the driver that reads the files, its value the package that holds them. So
a profile may come with the agent or with any other installed package.
"""

import difflib
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable

GROUP = "edge_agent.profiles"


@cache
def find_profiles(driver: str) -> dict[str, Traversable]:
    """Return a driver's profiles by name, in the order of their names. The first package to name one wins."""
    found: dict[str, Traversable] = {}
    for entry in entry_points(group=GROUP, name=driver):
        for file in files(entry.value).iterdir():
            if file.name.endswith(".toml"):
                found.setdefault(file.name.removesuffix(".toml"), file)
    return dict(sorted(found.items()))


def profile_text(driver: str, name: str) -> str:
    """Return a profile's TOML text.

    Raises:
        ValueError: there is no such profile; the message names the nearest ones.
    """
    known = find_profiles(driver)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "`edge-agent drivers` lists them"
        raise ValueError(f"there is no profile {name!r}; {hint}")
    return known[name].read_text("utf-8")
