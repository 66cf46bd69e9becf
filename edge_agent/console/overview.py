"""The one screen that says whether everything is all right."""

import re
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
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
    """One device: its state as a page shows it, the values that say most, and how many more it has."""

    device: DeviceStatus
    state: str
    values: tuple[str, ...]
    more: int
    spark: Spark | None

    @property
    def mark(self) -> tuple[object, ...]:
        """What must differ before it is worth sending again; ages count on in the browser."""
        return (*signature(self.device), self.spark)


@dataclass(frozen=True, slots=True)
class Group:
    """The devices of one place; ``name`` may be "". ``counts`` are by state."""

    id: str
    name: str
    rows: tuple[Row, ...]
    counts: Mapping[str, int]


def overview(status: Status, sparks: Mapping[str, Spark], peaks: Mapping[str, int]) -> dict[str, Any]:
    """Return what the template shows. ``peaks`` has the most that each uplink owed since somebody looks."""
    rows = [row(device, sparks.get(device.id)) for device in sorted(status.devices, key=_order)]
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


def row(device: DeviceStatus, spark: Spark | None) -> Row:
    """Return what the row of a device shows."""
    first = by_importance(device.values)
    few = tuple(first[:_MOST_VALUES])
    return Row(device, state(device), few, len(first) - len(few), spark)


def state(device: DeviceStatus) -> str:
    """Return its availability, or ``waiting`` while nothing was heard and nothing is wrong."""
    return "waiting" if waits(device) else device.availability


def _order(device: DeviceStatus) -> tuple[str, list[tuple[int, str]], str]:
    """By place, then by name, where meter-10 comes after meter-9."""
    parts = re.findall(r"\d+|\D+", device.name.casefold())
    natural = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return device.place, natural, device.id


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
