"""What is given up when the outbox is full and all of it is still owed: the oldest, into the ledger."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edge_agent.kept import Declared
from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.store import Store
from edge_agent.outbox.transactions import LOSS_COLUMNS, transaction

_MOST_LEDGER = 10_000  # entries that every uplink has acknowledged stay for so long


class Oldest(NamedTuple):
    """One stream's part of the oldest rows."""

    stream: int
    first: int
    last: int
    from_boot: int
    from_mono: int
    to_boot: int
    to_mono: int


class Entry(NamedTuple):
    """What is declared: the part of it that some uplinks are owed."""

    part: Oldest
    readings: int
    uplinks: tuple[int, ...]


async def give_up(db: Store, deliveries: Mapping[str, Delivery], below: int) -> int:
    """Give up all rows below a log id, and return how many readings that somebody was owed."""
    entries: dict[Oldest, Entry] = {}
    for part in await db.run(_oldest, below):
        for delivery in deliveries.values():
            owed = [seq for seq in range(part.first, part.last + 1) if delivery.owes(part.stream, seq)]
            if owed:
                known = part._replace(first=owed[0], last=owed[-1])
                before = entries.get(known, Entry(known, len(owed), ()))
                entries[known] = before._replace(uplinks=(*before.uplinks, delivery.uplink))
    connected = any(delivery.on_kept is not None for delivery in deliveries.values())
    made = await db.run(_write, below, list(entries.values()), not connected)
    for entry, declared in zip(entries.values(), made, strict=True):
        for delivery in deliveries.values():
            if delivery.uplink in entry.uplinks:
                delivery.lose(declared)
                if delivery.on_kept is not None:
                    delivery.on_kept((), (declared,))
    return sum(entry.readings for entry in entries.values())


def _oldest(db: sqlite3.Connection, below: int) -> list[Oldest]:
    first = db.execute(
        "SELECT stream, min(seq), boot, mono FROM log WHERE id < ? GROUP BY stream ORDER BY stream", (below,)
    ).fetchall()
    last = db.execute(
        "SELECT stream, max(seq), boot, mono FROM log WHERE id < ? GROUP BY stream ORDER BY stream", (below,)
    ).fetchall()
    return [
        Oldest(stream, from_seq, to_seq, *began, *ended)
        for (stream, from_seq, *began), (_, to_seq, *ended) in zip(first, last, strict=True)
    ]


def _write(db: sqlite3.Connection, below: int, entries: Sequence[Entry], merge: bool) -> list[Declared]:  # noqa: FBT001
    """Write the ledger and delete the rows, in one transaction.

    ``merge``: nobody is being told of entries now, so one that touches the last is added to it.
    """
    with transaction(db):
        made = [_declared(db, entry, merge=merge) for entry in entries]
        db.execute("DELETE FROM log WHERE id < ?", (below,))
        db.execute(
            "DELETE FROM loss WHERE id < (SELECT max(id) FROM loss) - ? AND to_seq NOT NULL"
            " AND id NOT IN (SELECT loss FROM loss_owed)",
            (_MOST_LEDGER,),
        )
    return made


def _declared(db: sqlite3.Connection, entry: Entry, *, merge: bool) -> Declared:
    part = entry.part
    before = db.execute(
        "SELECT id, (SELECT group_concat(uplink) FROM"
        " (SELECT uplink FROM loss_owed WHERE loss = id ORDER BY 1))"
        " FROM loss WHERE stream = ? AND to_seq = ? AND reason = 'capacity'",
        (part.stream, part.first - 1),
    ).fetchone()
    if merge and before and before[1] == ",".join(map(str, sorted(entry.uplinks))):
        id_ = before[0]
        db.execute(
            "UPDATE loss SET to_seq = ?, readings = readings + ?, to_boot = ?, to_mono = ? WHERE id = ?",
            (part.last, entry.readings, part.to_boot, part.to_mono, id_),
        )
    else:
        id_ = db.execute(
            "INSERT INTO loss (stream, from_seq, to_seq, readings, from_boot, from_mono, to_boot, to_mono,"
            " reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'capacity')",
            (part.stream, part.first, part.last, entry.readings, *part[3:]),
        ).lastrowid
        db.executemany("INSERT INTO loss_owed VALUES (?, ?)", [(uplink, id_) for uplink in entry.uplinks])
    row = db.execute(f"SELECT {LOSS_COLUMNS} FROM loss WHERE id = ?", (id_,)).fetchone()  # noqa: S608 - our own names
    return Declared(*row)
