"""What goes in and out of the outbox file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.outbox.eviction_order import USUAL, Care
from edge_agent.outbox.stream_delivery import DeliveryRow
from edge_agent.row import Row, Stream

LOG_COLUMNS = "id, stream, seq, boot, mono, meta, body, sum"
"""Named wherever they are used: a later minor version may have added columns."""


class Identity(NamedTuple):
    """Under what the readings are numbered."""

    site: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Policy:
    """How the outbox keeps. Times in seconds, sizes in bytes, ``memory`` in readings."""

    window: float
    memory: int
    replay: float
    max_size: int


class Enrolment(NamedTuple):
    """A device whose readings are to be kept, and the description they are made under: hash and JSON body."""

    device: str
    hash: str
    description: str
    names: Sequence[str]
    care: Care = USUAL


class Loss(NamedTuple):
    """A run of readings given up before they were kept, with the time of the first and the last."""

    stream: int
    from_seq: int
    to_seq: int
    boot: int
    from_mono: int
    to_mono: int
    reason: str

    @property
    def readings(self) -> int:
        """How many these are."""
        return self.to_seq - self.from_seq + 1


@dataclass(slots=True)
class Checkpoint:
    """What is written beside the rows now and then, so that a restart knows it without reading the log."""

    next_id: int
    next_seq: dict[int, int]  # by stream: all that appended since the last checkpoint
    scan_from: dict[int, int]  # by uplink
    delivery: dict[tuple[int, int], DeliveryRow]  # by (uplink, stream)
    ran_ms: int
    boot: int
    repairs: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # by uplink
    acknowledged: dict[int, int] = field(default_factory=dict)  # readings, by uplink


class LossAck(NamedTuple):
    """A declaration that an uplink has acknowledged, and up to which number it said."""

    uplink: int
    loss: int
    to_seq: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one transaction writes."""

    rows: Sequence[Row]
    losses: Sequence[Loss] = ()
    pieces: Sequence[tuple[int, int]] = ()  # new clock offsets of the running boot: from_mono, offset_ms
    boot: int = 0
    next_seq: Mapping[int, int] = field(default_factory=dict)  # by stream, once this is written
    events: Sequence[Row] = ()  # those of the rows that are
    event_stream: int = 0
    checkpoint: Checkpoint | None = None
    drop_below: int = 0  # log ids below this are settled and out of the replay window
    loss_acks: Sequence[LossAck] = ()
    memory: Mapping[str, bytes] = field(default_factory=dict)  # by device


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
    memory: dict[str, bytes] = field(default_factory=dict)  # by device: what it remembers
    last_events: dict[str, str] = field(default_factory=dict)  # by device and alarm: what was told last
    retired: dict[int, dict[str, tuple[int, int]]] = field(default_factory=dict)  # by uplink, device: event
