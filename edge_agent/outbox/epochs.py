"""Epochs: streams of numbers that begin anew. One opens when an outbox is made, salvaged or restored."""

import secrets
import sqlite3
from collections.abc import Sequence
from typing import Literal, NamedTuple

from edge_agent.outbox.admission import GONE
from edge_agent.outbox.ranges import Ranges
from edge_agent.outbox.witness import Testimony
from edge_agent.row import EVENT_META

Origin = Literal["created", "salvaged", "restored", "renamed"]

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that is misread on a label


def new_epoch(db: sqlite3.Connection, site: str, gateway: str, origin: Origin) -> int:
    """Make an epoch with a name that no other has, and return its id."""
    name = "".join(secrets.choice(_LETTERS) for _ in range(6))
    cursor = db.execute(
        "INSERT INTO epoch (name, site, gateway, origin) VALUES (?, ?, ?, ?)", (name, site, gateway, origin)
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def recall(db: sqlite3.Connection, testimony: Testimony) -> None:
    """Make sure that the epoch and the devices that the witness knows are there to be closed."""
    if not testimony.epoch:
        return
    db.execute(
        "INSERT OR IGNORE INTO epoch (name, site, gateway, origin) VALUES (?, ?, ?, 'created')",
        (testimony.epoch, testimony.site, testimony.gateway),
    )
    (epoch,) = db.execute("SELECT id FROM epoch WHERE name = ?", (testimony.epoch,)).fetchone()
    for device, known in testimony.devices.items():
        kind = "event" if known.meta == EVENT_META else "reading"
        db.execute(
            "INSERT OR IGNORE INTO stream (id, epoch, device, kind) VALUES (?, ?, ?, ?)",
            (known.stream, epoch, device, kind),
        )
        db.execute("UPDATE OR IGNORE stream SET epoch = ? WHERE id = ?", (epoch, known.stream))
        if kind == "event":
            continue
        db.execute(
            "INSERT OR IGNORE INTO meta (id, device, hash, body) VALUES (?, ?, ?, ?)",
            (known.meta, device, *known[2:]),
        )


def close_others(db: sqlite3.Connection, epoch: int) -> None:
    """Close all other epochs in the ledger: declare what is missing in them, and that nothing more will come.

    Only numbers that some uplink has not settled are looked at. Reads the whole log.
    """
    uplinks = [
        id_ for (id_,) in db.execute("SELECT id FROM uplink WHERE parked IS NULL OR parked != ?", (GONE,))
    ]
    last = {
        stream: _settled(db, stream, next_seq, uplinks)
        for stream, next_seq in db.execute(
            "SELECT id, next_seq FROM stream WHERE epoch != ?", (epoch,)
        ).fetchall()
    }
    closed = dict(db.execute("SELECT stream, min(from_seq) FROM loss WHERE to_seq IS NULL GROUP BY stream"))
    excluded = set(db.execute("SELECT uplink, stream FROM apart WHERE to_seq IS NULL"))
    ledger = _ledger(db)
    redeclared: set[int] = set()  # entries that say already what is missing
    missing = []
    for stream, seq in db.execute("SELECT stream, seq FROM log ORDER BY id"):
        if stream in last and seq > last[stream]:
            gap = last[stream] + 1, seq - 1
            last[stream] = seq
            if gap[0] > gap[1]:
                continue
            known = next((entry.id for entry in ledger.get(stream, ()) if entry.names(*gap)), None)
            if known is None:
                missing.append((stream, *gap, gap[1] - gap[0] + 1))
            else:
                redeclared.add(known)
    ends = [(stream, seq + 1, None, None) for stream, seq in last.items() if stream not in closed]
    for stream, end in closed.items():  # what lay before its end may be gone now
        if stream in last and last[stream] < end - 1:
            missing.append((stream, last[stream] + 1, end - 1, end - 1 - last[stream]))
            last[stream] = end - 1
    db.executemany(
        "INSERT OR IGNORE INTO loss_owed (uplink, loss) VALUES (?, ?)",
        [(uplink, id_) for uplink in uplinks for id_ in redeclared],
    )
    db.execute("UPDATE outbox SET lost = lost + ?", (sum(readings for *_, readings in missing),))
    for entry in missing + ends:
        loss = db.execute(
            "INSERT INTO loss (stream, from_seq, to_seq, readings, reason) VALUES (?, ?, ?, ?, 'damage')",
            entry,
        ).lastrowid
        owed = [(uplink, loss) for uplink in uplinks if (uplink, entry[0]) not in excluded]
        db.executemany("INSERT INTO loss_owed (uplink, loss) VALUES (?, ?)", owed)
    db.executemany("UPDATE stream SET next_seq = ? WHERE id = ?", [(s + 1, id_) for id_, s in last.items()])


class _Entry(NamedTuple):
    id: int
    first: int
    last: int
    every: int | None

    def names(self, low: int, high: int) -> bool:
        """Say whether the entry declares all numbers from low to high."""
        inside = self.first <= low and high <= self.last
        return inside and (not self.every or (low - 1) // self.every == high // self.every)


def _ledger(db: sqlite3.Connection) -> dict[int, list[_Entry]]:
    """Return by stream what was declared before: a thinned backlog is full of gaps."""
    found: dict[int, list[_Entry]] = {}
    for stream, *entry in db.execute(
        "SELECT stream, id, from_seq, to_seq, every FROM loss WHERE to_seq NOT NULL"
    ):
        found.setdefault(stream, []).append(_Entry(*entry))
    return found


def _settled(db: sqlite3.Connection, stream: int, next_seq: int, uplinks: Sequence[int]) -> int:
    """Return up to which number no uplink is owed anything of a stream, as far as the file knows."""
    least = []
    for uplink in uplinks:
        here = uplink, stream
        (settled,) = db.execute(
            "SELECT total(settled) FROM delivery WHERE uplink = ? AND stream = ?", here
        ).fetchone()
        done = Ranges(int(settled))
        for first, last in db.execute(
            "SELECT from_seq, coalesce(to_seq, ?) FROM apart WHERE uplink = ? AND stream = ?",
            (next_seq - 1, *here),
        ):
            if first <= last:
                done.add(first, last)
        least.append(done.settled)
    return min(least, default=0)
