"""What a person should look at, the worst first: what it is, since when, why, and what to do. Pure."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from edge_agent.status import DeviceStatus, Status, wrong


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing. ``device`` is the id of the one that it is about, "" where it is about more.

    ``why`` is in the agent's English. ``remedy`` names what a page has a remedy for: a kind of fault, or
    ``silence``; with ``/air`` behind it where it is about a radio, and "" where ``why`` says what to do.
    """

    name: str
    device: str
    state: str
    since_s: float | None
    why: str
    remedy: str = ""


def waits(device: DeviceStatus) -> bool:
    """Say whether nothing was heard of it yet, and nothing is known to be wrong either."""
    return device.heard_s is None and device.availability == "late" and not device.problem


def on_air(status: Status) -> AbstractSet[str]:
    """Return the buses that are radios."""
    return {bus.id for bus in status.buses if bus.port.startswith("hci")}


def remedy(device: DeviceStatus, air: AbstractSet[str]) -> str:
    """Name what helps a device that is not heard: by its last fault, or because it is silent."""
    kind = device.problem.partition(":")[0] if device.problem else "silence"
    return f"{kind}/air" if device.bus in air else kind


def troubles(status: Status) -> list[Trouble]:
    """Return all of it. A bus that is gone stands for its devices."""
    gone = {bus.id: bus for bus in status.buses if bus.problem}
    alone = replace(status, devices=())
    found = [Trouble("", "", "bad", None, line) for line in wrong(alone)]
    return found + sorted(_silent(status, gone.keys()), key=lambda one: one.state != "offline")


def _silent(status: Status, gone: AbstractSet[str]) -> Iterator[Trouble]:
    air = on_air(status)
    for device in status.devices:
        if device.availability == "online" or waits(device) or device.bus in gone:
            continue
        yield Trouble(
            device.name,
            device.id,
            device.availability,
            device.since_s,
            device.problem or device.reason,
            remedy(device, air),
        )
