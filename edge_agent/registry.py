"""Which drivers are installed, where each comes from, and whether it can be used.

Built-in drivers come through the same entry points as anyone else's. A driver is imported when it is
first asked for: a gateway without a radar never loads the radar's code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from typing import Any

from edge_agent.driver import API, Driver
from edge_agent.text.suggestion import did_you_mean

GROUP = "edge_agent.drivers"


@dataclass(frozen=True, slots=True)
class Entry:
    """One installed driver. ``problem`` is "" when it can be used, else what is wrong and what to do."""

    name: str
    origin: str
    driver: Driver[Any] | None
    problem: str


class UnknownDriverError(LookupError):
    """There is no usable driver of that name. The message says which there are, or what is wrong with it."""


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP), reverse=True)}


def names() -> list[str]:
    """Return the names of all installed drivers, without importing one."""
    return sorted(_points())


@cache
def entry(name: str) -> Entry:
    """Load one driver and say whether it can be used.

    Raises:
        UnknownDriverError: no driver of that name is installed.
    """
    point = _points().get(name)
    if point is None:
        hint = did_you_mean(name, names(), f"installed: {', '.join(names())}")
        raise UnknownDriverError(f"there is no driver {name!r}; {hint}")
    origin = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown package"
    try:
        driver = point.load()
    except Exception as error:  # noqa: BLE001 - a broken third-party package must not take the others down
        return Entry(name, origin, None, f"cannot be loaded ({error}); reinstall {origin}")
    if not isinstance(driver, Driver):
        return Entry(
            name, origin, None, f"{point.value} is not a Driver record; report it to the maker of {origin}"
        )
    if driver.api != API:
        problem = f"was written for driver API {driver.api}, this agent has {API}; update {origin}"
        return Entry(name, origin, None, problem)
    return Entry(name, origin, driver, "")


def entries() -> Iterator[Entry]:
    """Load every installed driver, in the order of their names."""
    return (entry(name) for name in names())


def load(name: str) -> Driver[Any]:
    """Return a driver that can be used.

    Raises:
        UnknownDriverError: it is not installed, or cannot be used.
    """
    found = entry(name)
    if found.driver is None:
        raise UnknownDriverError(f"driver {name!r} {found.problem}")
    return found.driver


def resource(driver: Driver[Any], name: str) -> str:
    """Return the text of a file that lies beside a driver's code: README.md, sample.toml, vectors.toml."""
    return (files(driver.home) / name).read_text("utf-8")
