"""What stands in an outbox file, read with sqlite3 alone while no agent has it open."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

Key = tuple[str, str]  # device, epoch


@dataclass(slots=True)
class Stored:
    """``tops``: the last number given, by device and epoch. ``readings``: what n each kept row says."""

    tops: dict[Key, int] = field(default_factory=dict)
    readings: dict[tuple[Key, int], int] = field(default_factory=dict)
    losses: list[tuple[Key, int, int | None, str]] = field(default_factory=list)


def stored(*paths: Path) -> Stored:
    """Read one outbox, or several."""
    found = Stored()
    for path in paths:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            _read(db, found)
    return found


def _read(db: sqlite3.Connection, found: Stored) -> None:
    streams = {
        id_: ((device, epoch), next_seq)
        for id_, device, epoch, next_seq in db.execute(
            "SELECT stream.id, device, epoch.name, next_seq FROM stream JOIN epoch ON epoch.id = stream.epoch"
            " WHERE kind = 'reading'"
        )
    }
    for key, next_seq in streams.values():
        found.tops[key] = next_seq - 1
    for stream, seq, body in db.execute("SELECT stream, seq, body FROM log"):
        if stream not in streams:  # events
            continue
        key = streams[stream][0]
        found.tops[key] = max(found.tops[key], seq)
        values = json.loads(body)
        found.readings[key, seq] = (values if isinstance(values, list) else values["v"])[0]
    for stream, first, last, reason in db.execute("SELECT stream, from_seq, to_seq, reason FROM loss"):
        if stream not in streams:
            continue
        key = streams[stream][0]
        found.losses.append((key, first, last, reason))
        found.tops[key] = max(found.tops[key], last or 0)


def integrity(paths: Iterable[Path]) -> list[str]:
    """What SQLite says about each file; "ok" for a sound one."""
    said = []
    for path in paths:
        with closing(sqlite3.connect(path)) as db:
            said.append(str(db.execute("PRAGMA integrity_check").fetchone()[0]))
    return said
