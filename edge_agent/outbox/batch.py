"""What one transaction of the writer takes to the file: rows, losses, and now and then a checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.outbox.stream_delivery import DeliveryRow
from edge_agent.row import Row


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
    """A declaration that an uplink has acknowledged, and up to which number that was then."""

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
    device_memory: Mapping[str, bytes] = field(default_factory=dict)  # by device
