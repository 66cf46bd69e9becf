"""The one screen that says whether everything is all right."""

import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Protocol

from edge_agent.console.sparks import Spark
from edge_agent.console.trouble import troubles, waits
from edge_agent.control.server import Tell
from edge_agent.status import DeviceStatus, Status
from edge_agent.text.channel_order import by_importance

_MOST_VALUES = 4


async def silent(_progress: Mapping[str, Any]) -> None:
    """Hear how far a verb has come, and tell nobody."""


class Ask(Protocol):
    """Has the agent carry out one of its verbs. ``tell`` hears how far it has come."""

    def __call__(
        self, verb: str, args: Mapping[str, Any], tell: Tell = silent, /
    ) -> Awaitable[Mapping[str, Any]]:
        """Return its answer. Raises RefusedError when it will not do that."""


@dataclass(frozen=True, slots=True)
class Row:
    """One device: its state as a page shows it, the values that say most, and how many more it has.

    ``hidden``: it is not among those that somebody looks for.
    """

    device: DeviceStatus
    state: str
    values: tuple[str, ...]
    more: int
    spark: Spark | None
    hidden: bool = False

    @property
    def mark(self) -> tuple[object, ...]:
        """What must differ before it is worth sending again; ages count on in the browser."""
        return (*signature(self.device), self.spark)


@dataclass(frozen=True, slots=True)
class Group:
    """The devices of one place; ``name`` may be "". ``counts`` are by state.

    Where all are in one order, wherever they are, ``id`` is "" and so is ``name``.
    """

    id: str
    name: str
    rows: tuple[Row, ...]
    counts: Mapping[str, int]

    @property
    def hidden(self) -> bool:
        """Whether nobody looks for any of them."""
        return all(row.hidden for row in self.rows)


def overview(status: Status, sparks: Mapping[str, Spark], peaks: Mapping[str, int]) -> dict[str, Any]:
    """Return what the template shows. ``peaks`` has the most that each uplink owed since somebody looks."""
    devices = sorted(status.devices, key=lambda device: (device.place, _natural(device)))
    rows = [row(device, sparks.get(device.id)) for device in devices]
    groups = [
        Group(f"place-{number}", place, tuple(those := list(within)), _counted(those))
        for number, (place, within) in enumerate(groupby(rows, key=lambda one: one.device.place))
    ]
    return {
        "status": status,
        "groups": groups,
        "troubles": troubles(status),
        "counts": _counted(rows),
        "peaks": peaks,
    }


def arranged(groups: Iterable[Group], find: str, sort: str) -> list[Group]:
    """Return the devices by place, or all in one of ``ORDERS``; those without all words of ``find`` hidden.

    They are there, since a script shows them once somebody looks for them.
    """
    wanted = find.lower().split()
    found = [replace(group, rows=tuple(_sought(one, wanted) for one in group.rows)) for group in groups]
    if sort not in ORDERS:
        return found
    rows = sorted((one for group in found for one in group.rows), key=lambda one: _natural(one.device))
    rows.sort(key=ORDERS[sort])
    return [Group("", "", tuple(rows), _counted(rows))] if rows else []


def _sought(one: Row, wanted: Iterable[str]) -> Row:
    device = one.device
    text = f"{device.name} {device.id} {device.place} {device.driver} {device.bus}".lower()
    return replace(one, hidden=not all(word in text for word in wanted))


def row(device: DeviceStatus, spark: Spark | None) -> Row:
    """Return what the row of a device shows."""
    first = by_importance(device.values)
    few = tuple(first[:_MOST_VALUES])
    return Row(device, state(device), few, len(first) - len(few), spark)


def state(device: DeviceStatus) -> str:
    """Return its availability, or ``waiting`` while nothing was heard and nothing is wrong."""
    return "waiting" if waits(device) else device.availability


def _natural(device: DeviceStatus) -> tuple[list[tuple[int, str]], str]:
    """By name, where meter-10 comes after meter-9."""
    parts = re.findall(r"\d+|\D+", device.name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], device.id


_STATES = ("offline", "late", "waiting", "online")

ORDERS: Mapping[str, Callable[[Row], float]] = {
    "state": lambda one: _STATES.index(one.state),
    "age": lambda one: -math.inf if one.device.heard_s is None else -one.device.heard_s,
    "name": lambda _one: 0.0,
}
"""How an overview may be ordered, if not by place: the worst first, the longest not heard first, by name."""


def _counted(rows: Iterable[Row]) -> Mapping[str, int]:
    return Counter(one.state for one in rows)


def signature(device: DeviceStatus) -> tuple[object, ...]:
    """Return what must differ before a device's page is worth sending again; ages count on in the browser."""
    return (
        device.availability,
        device.seq,
        device.problem,
        device.reason,
        tuple(device.values.items()),
        tuple(device.quality.items()),
        tuple(device.faults.items()),
        device.name,
        device.place,
    )
