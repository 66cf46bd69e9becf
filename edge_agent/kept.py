"""What is on disk, as the outbox gives it and an uplink sends it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple
from zlib import crc32


class Row(NamedTuple):
    """One kept reading. ``body`` is JSON: values (and quality) in the description's channel order.

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


def checksum(content: tuple[int, int, int, int, int, int, bytes]) -> int:
    """Return what a row's ``check`` must be, from all that stands before it."""
    return crc32(b"%d %d %d %d %d %d" % content[:6], crc32(content[6]))


def intact(row: Row) -> bool:
    """Say whether a row is as it was written."""
    try:
        return row.check == checksum(row[:7])
    except TypeError:  # damage has made something else of a number, or of the body
        return False


@dataclass(slots=True)
class Stream:
    """One device's sequence of numbers in one epoch. ``next_seq`` counts what is on disk."""

    id: int
    epoch: str
    device: str
    next_seq: int


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
