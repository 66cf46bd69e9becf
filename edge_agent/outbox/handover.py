"""Between ``keep`` and the disk: the one hand-over in memory, bounded, where the newest readings stay."""

import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import NamedTuple

import orjson

from edge_agent.outbox.batch import Batch, Loss
from edge_agent.reading import Reading, Value
from edge_agent.row import Row, Stream, checksum

log = logging.getLogger(__name__)

_row: Callable[[tuple[int, int, int, int, int, int, bytes, int]], Row] = partial(
    tuple.__new__, Row
)  # half of Row(...)

_QUOTE, _N = b'"n'  # numbers: looking for them is a tenth of looking for bytes


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Where a device's readings go: its stream, its description, and the order of its channels in a body."""

    stream: int
    meta: int
    names: tuple[str, ...]
    pick: Callable[[Mapping[str, Value]], Sequence[Value]]

    @classmethod
    def of(cls, stream: int, meta: int, names: Sequence[str]) -> "Enrolled":
        """Work out how values are picked: KeyError where one is missing."""
        if len(names) > 1:
            return cls(stream, meta, tuple(names), itemgetter(*names))
        return cls(stream, meta, tuple(names), lambda values: [values[name] for name in names])

    def body(self, reading: Reading) -> bytes:
        """Return the JSON of a reading: a plain list where all channels have numbers, and all are good."""
        if not reading.quality:
            try:
                plain = orjson.dumps(self.pick(reading.values))
            except KeyError:
                pass
            else:
                if _QUOTE not in plain and _N not in plain:  # no text, and no null that was a NaN
                    # A copy: what orjson returns keeps the kilobyte it was written in, at ten times the cost.
                    return plain[:-1] + b"]"
        values = [reading.values.get(name) for name in self.names]
        quality = {name: [why.grade, why.reason] for name, why in reading.quality.items()}
        return orjson.dumps({"v": values, "q": quality})


class Carried(NamedTuple):
    """What waited in one outbox and goes on into another: readings as (device, mono_ms, body).

    ``overflow`` by device: how many had no room, and the mono_ms of the first and the last.
    """

    readings: Sequence[tuple[str, int, bytes]] = ()
    overflow: Mapping[str, tuple[int, int, int]] = {}

    @property
    def total(self) -> int:
        """How many readings these are."""
        return len(self.readings) + sum(count for count, _, _ in self.overflow.values())


class Handover:
    """Readings that wait for the next commit, at most ``most``. What overflows is counted by stream."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._waiting: deque[tuple[int, int, int, bytes]] = deque()  # stream, mono_ms, meta, body
        self.overflowing = False  # told once, until all is written
        self._overflow: dict[int, tuple[int, int, int]] = {}  # stream -> count, first mono_ms, last mono_ms

    def __len__(self) -> int:
        """How many readings wait."""
        return len(self._waiting)

    def add(self, stream: int, mono_ms: int, meta: int, body: bytes) -> int:
        """Let a reading wait; return how many do. Where there is no room the oldest is given up."""
        self._waiting.append((stream, mono_ms, meta, body))
        if (waiting := len(self._waiting)) <= self.most:
            return waiting
        if not self.overflowing:
            self.overflowing = True
            log.error(
                "outbox: %d readings wait in memory, and the oldest are given up (reason: overflow); "
                "see that the disk takes readings, or raise outbox.memory",
                self.most,
            )
        stream, mono_ms, _, _ = self._waiting.popleft()
        self.overflow(stream, 1, mono_ms, mono_ms)
        return self.most

    def overflow(self, stream: int, count: int, first_ms: int, last_ms: int) -> None:
        """Count readings that had no room, before all that wait."""
        before, begun_ms, _ = self._overflow.get(stream, (0, first_ms, 0))
        self._overflow[stream] = (before + count, begun_ms, last_ms)

    def adopt(self, carried: Carried, enrolled: Mapping[str, Enrolled]) -> None:
        """Take over what waited elsewhere, of the devices that are enrolled."""
        for device, counted in carried.overflow.items():
            if device in enrolled:
                self.overflow(enrolled[device].stream, *counted)
        for device, mono_ms, body in carried.readings:
            if device in enrolled:
                self.add(enrolled[device].stream, mono_ms, enrolled[device].meta, body)

    def take_out(self, batch: Batch | None, streams: Mapping[int, Stream]) -> Carried:
        """Take out all that waits, and before it what is numbered in a batch that was not written."""
        readings = [(row.stream, row.mono_ms, row.body) for row in batch.rows] if batch else []
        readings += [(stream, mono_ms, body) for stream, mono_ms, _, body in self._waiting]
        for loss in batch.losses if batch else ():
            later = self._overflow.pop(loss.stream, (0, 0, loss.to_mono))
            self._overflow[loss.stream] = (loss.readings + later[0], loss.from_mono, later[2])
        overflow = {streams[stream].device: counted for stream, counted in self._overflow.items()}
        self._waiting.clear()
        self._overflow.clear()
        return Carried([(streams[stream].device, mono, body) for stream, mono, body in readings], overflow)

    def number(
        self,
        streams: Mapping[int, Stream],
        first_id: int,
        boot: int,
        most: int,
        refused: Collection[int] = (),
    ) -> tuple[list[Row], list[Loss], dict[int, int]]:
        """Take out all that overflowed and then at most ``most`` readings, numbered in this order.

        Returns also the next number of each of their streams. Nothing of it counts before it is written.
        Readings of ``refused`` streams are numbered and given up: the outbox is full.
        """
        next_seq: dict[int, int] = {}
        losses = []
        for stream, (count, first_ms, last_ms) in self._overflow.items():
            first = streams[stream].next_seq
            next_seq[stream] = first + count
            losses.append(Loss(stream, first, first + count - 1, boot, first_ms, last_ms, "overflow"))
        self._overflow.clear()
        rows: list[Row] = []
        not_kept: dict[int, Loss] = {}
        waiting = self._waiting
        for _ in range(min(len(waiting), most)):
            stream, mono_ms, meta, body = waiting.popleft()
            seq = next_seq.get(stream) or streams[stream].next_seq
            next_seq[stream] = seq + 1
            if stream in refused:
                one = Loss(stream, seq, seq, boot, mono_ms, mono_ms, "capacity")
                not_kept[stream] = not_kept.get(stream, one)._replace(to_seq=seq, to_mono=mono_ms)
                continue
            id_ = first_id + len(rows)
            check = checksum(id_, stream, seq, boot, mono_ms, meta, body)
            rows.append(_row((id_, stream, seq, boot, mono_ms, meta, body, check)))
        return rows, [*losses, *not_kept.values()], next_seq
