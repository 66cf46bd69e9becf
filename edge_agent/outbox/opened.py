"""What the file says when it is opened: all that a run knows without reading the log."""

from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.outbox.stream_delivery import DeliveryRow
from edge_agent.row import Stream


class Admitted(NamedTuple):
    """What the file says of an uplink."""

    id: int
    scan_from: int
    session: int
    acknowledged: int
    everything: bool  # it gets all devices


@dataclass(slots=True)
class Opened:
    """What the file says when it is opened."""

    epoch: str
    next_id: int
    first_id: int
    boot: int
    ran_ms: dict[int, int]
    pieces: dict[int, list[tuple[int, int]]]
    streams: dict[int, Stream]
    runs: int
    kept: int  # readings since the file was made
    lost: int
    uplinks: dict[str, Admitted] = field(default_factory=dict)  # all that are to be kept for
    parked: dict[str, int] = field(default_factory=dict)  # of these, by name: running time since it is gone
    exclusions: dict[int, list[tuple[int, int, int | None]]] = field(default_factory=dict)  # by uplink
    delivery: dict[tuple[int, int], DeliveryRow] = field(default_factory=dict)
    repairs: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # by uplink: runs of log ids
    device_memory: dict[str, bytes] = field(default_factory=dict)  # by device: what it remembers
    last_events: dict[str, str] = field(default_factory=dict)  # by device and alarm: what was told last
    retired: dict[int, dict[str, tuple[int, int]]] = field(default_factory=dict)  # by uplink, device: event
