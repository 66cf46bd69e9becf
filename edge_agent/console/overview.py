"""The one screen that says whether everything is all right."""

from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from edge_agent.control.server import Tell
from edge_agent.status import DeviceStatus, Status, wrong


async def silent(_progress: Mapping[str, Any]) -> None:
    """Hear how far a verb has come, and tell nobody."""


class Ask(Protocol):
    """Has the agent carry out one of its verbs. ``tell`` hears how far it has come."""

    def __call__(
        self, verb: str, args: Mapping[str, Any], tell: Tell = silent, /
    ) -> Awaitable[Mapping[str, Any]]:
        """Return its answer. Raises RefusedError when it will not do that."""


@dataclass(frozen=True, slots=True)
class Group:
    """The devices of one place; ``name`` may be ""."""

    name: str
    devices: tuple[DeviceStatus, ...]


def overview(status: Status) -> dict[str, Any]:
    """Return what the template shows."""
    ordered = sorted(status.devices, key=lambda device: (device.place, device.id))
    groups = [Group(place, tuple(devices)) for place, devices in groupby(ordered, key=lambda one: one.place)]
    counts = Counter(device.availability for device in status.devices)
    return {"status": status, "groups": groups, "wrong": list(wrong(status)), "counts": counts}


def signature(device: DeviceStatus) -> tuple[object, ...]:
    """Return what must differ before a device's row is worth sending again; ages count on in the browser."""
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
