"""What is on disk, as the outbox gives it and an uplink sends it."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from zlib import crc32

_NUMBERS = struct.Struct("<6q")

EVENT_META = 0
"""Stands where a reading has its description: an event has none, and is found by that."""


class Row(NamedTuple):
    """One kept reading. ``body`` is JSON: values (and quality) in the description's channel order.

    Or an event, where ``meta`` is 0; ``body`` is then what it says.

    ``check`` proves that nothing of it was changed on the card: a flipped bit must not become a value.
    """

    id: int
    stream: int
    seq: int
    boot: int
    mono_ms: int
    meta: int
    body: bytes
    check: int = 0


def checksum(  # noqa: PLR0913, PLR0917 - a row's fields, in their order
    id_: int, stream: int, seq: int, boot: int, mono_ms: int, meta: int, body: bytes
) -> int:
    """Return what a row's ``check`` must be, from all that stands before it."""
    return crc32(body, crc32(_NUMBERS.pack(id_, stream, seq, boot, mono_ms, meta)))


def intact(row: Row) -> bool:
    """Say whether a row is as it was written."""
    try:
        return row.check == checksum(*row[:7])
    except (TypeError, struct.error):  # damage has made something else of a number, or of the body
        return False


@dataclass(slots=True, eq=False)
class Run:
    """Rows of one stream and one description, for one message: of the numbers between them none is owed.

    ``texts`` is where uplinks that are given the same run leave what they made of it, for one another.
    """

    rows: Sequence[Row]
    texts: dict[object, bytes] | None = None
    size: int = field(init=False)  # bytes of all bodies

    def __post_init__(self) -> None:
        """Add up the bodies, once for all who ask."""
        self.size = sum(len(row.body) for row in self.rows)

    @property
    def stream(self) -> int:
        """The stream they belong to."""
        return self.rows[0].stream

    @property
    def first(self) -> int:
        """The first number."""
        return self.rows[0].seq

    @property
    def last(self) -> int:
        """The last number."""
        return self.rows[-1].seq


def runs(rows: Iterable[Row], *, shared: bool = False) -> list[Run]:
    """Deal rows to runs without a gap, in the order of their first rows. ``shared``: by several uplinks."""
    dealt: list[list[Row]] = []
    latest: dict[int, tuple[int, int, list[Row]]] = {}  # by stream: the number and description that go on
    for row in rows:
        _, stream, seq, _, _, meta, _, _ = row
        number, same, run = latest.get(stream, (0, 0, []))
        if number != seq or same != meta:
            run = []
            dealt.append(run)
        run.append(row)
        latest[stream] = seq + 1, meta, run
    return [Run(run, {} if shared else None) for run in dealt]


@dataclass(slots=True)
class Stream:
    """One device's sequence of numbers in one epoch, or of events. ``next_seq`` counts what is on disk."""

    id: int
    epoch: str
    device: str
    next_seq: int
    kind: Literal["reading", "event"] = "reading"


class Declared(NamedTuple):
    """A ledger entry that an uplink has not acknowledged yet. ``to_seq`` None: to the end of that epoch.

    Times are None where they are not known. ``every``: the range was thinned out, and the multiples of this
    number are not lost.
    """

    id: int
    stream: int
    from_seq: int
    to_seq: int | None
    readings: int | None
    from_boot: int | None
    from_mono: int | None
    to_boot: int | None
    to_mono: int | None
    reason: str
    every: int | None = None


Trueness = Literal["", "repaired", "unsynchronised"]


class Moment(NamedTuple):
    """A time in ms since 1970 UTC, how true it is ("" = synchronised), and bounds where it is not known."""

    ts: int
    clock: Trueness = ""
    bounds: tuple[int | None, int | None] | None = None


class Command(NamedTuple):
    """A command that was taken. ``kept``: the gateway's running time then, ms. ``answer``: the whole reply.

    ``answer`` is None while it is carried out, and for ever where that was interrupted.
    """

    id: str
    name: str
    kept: int
    reply_to: str
    correlation: bytes | None
    answer: bytes | None


class RangeStatus(NamedTuple):
    """What became of the numbers of a stream up to ``to_seq``, for an uplink that asks for them once more.

    ``runs``: first and last number, and what they are: ``queued`` (acknowledged, and still in the log between
    ``from_id`` and ``to_id``), ``pending`` (still owed, and on their way), or why they cannot come.
    """

    to_seq: int
    from_id: int
    to_id: int
    runs: list[tuple[int, int, str]]
