"""Events in the log: how they lie there, and which of them an uplink gets.

They have one stream for the whole gateway, under the reserved device, so that the number says which it is;
an event of a device that is not on an uplink does not go there, and the next one that does says so.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import orjson

from edge_agent.event import Event, about
from edge_agent.outbox.queries import LOG_COLUMNS
from edge_agent.outbox.store import DamagedError
from edge_agent.row import EVENT_META, Row, Stream, intact

_LASTING = frozenset({"online", "late", "offline", "alarm", "alarm_cleared"})  # until the next one
_LOOK_BACK = 200  # events
STAYS = "gateway"
"""The key of "the device goes on, on other uplinks": one that each message has of its own.

So an agent before 2026-11-23, which refuses keys that it does not know, writes over it.
"""
_NOTE_LATEST = "INSERT OR REPLACE INTO told (device, event) VALUES (?, ?)"
_FORGET_LATEST = "DELETE FROM told WHERE ?1 IN (device, substr(device, 1, instr(device, '/') - 1))"

Mine = Callable[[Row], bool]
Retired = dict[str, tuple[int, int]]  # by device: stream and number of the event that tells it


def body(event: Event, uplink: str, *, stays: bool) -> bytes:
    """Return an event as it lies in the log.

    ``uplink``: the one that is told of it, "": all are. ``stays``: the device goes on, on other uplinks.
    """
    content = {"event": event.kind, "device": event.device, "uplink": uplink, "detail": event.detail}
    content |= {"channel": event.channel, "alarm": event.alarm}
    made: dict[str, object] = {key: value for key, value in content.items() if value}
    if stays:
        made[STAYS] = True
    if event.value is not None:
        made["value"] = event.value
    return orjson.dumps(made)


def note(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Remember what these say of devices, in the transaction that writes them."""
    for row in rows:
        content = orjson.loads(row.body)
        if content["event"] in _LASTING:
            of = about(content["device"], content.get("channel", ""), content.get("alarm", ""))
            db.execute(_NOTE_LATEST, (of, content["event"]))
        elif content["event"] == "retired":
            if STAYS not in content:
                db.execute(_FORGET_LATEST, (content["device"],))
            db.execute(
                "INSERT OR REPLACE INTO retired (uplink, device, stream, seq)"
                " SELECT id, ?, ?, ? FROM uplink WHERE name = ?",
                (content["device"], row.stream, row.seq, content["uplink"]),
            )


def is_back(db: sqlite3.Connection, device: str, uplinks: Iterable[int]) -> None:
    """A device is on these uplinks: should it be taken away again, that is told again."""
    db.executemany(
        "DELETE FROM retired WHERE uplink = ? AND device = ?", [(uplink, device) for uplink in uplinks]
    )


def known(db: sqlite3.Connection) -> tuple[dict[str, str], dict[int, Retired]]:
    """Return what was told last of each device and alarm, and by uplink which event retired a device."""
    latest = dict(db.execute("SELECT device, event FROM told"))
    gone: dict[int, Retired] = {}
    for uplink, device, stream, seq in db.execute("SELECT uplink, device, stream, seq FROM retired"):
        gone.setdefault(uplink, {})[device] = stream, seq
    return latest, gone


def carry_over(
    old: sqlite3.Connection,
    new: sqlite3.Connection,
    streams: Mapping[int, int],
    uplinks: Mapping[int, int],
) -> None:
    """Remember what was told last in a volatile outbox, whose streams and uplinks have new ids."""
    if not old.execute("SELECT 1 FROM sqlite_schema WHERE name = 'told'").fetchone():
        return  # an older agent made it
    new.executemany(_NOTE_LATEST, old.execute("SELECT device, event FROM told").fetchall())
    for uplink, device, stream, seq in old.execute("SELECT uplink, device, stream, seq FROM retired"):
        if uplink not in uplinks or stream not in streams:
            continue  # a salvage had no more of it
        new.execute(
            "INSERT OR REPLACE INTO retired (uplink, device, stream, seq) VALUES (?, ?, ?, ?)",
            (uplinks[uplink], device, streams[stream], seq),
        )


def read(db: sqlite3.Connection, from_id: int, to_id: int, limit: int) -> tuple[list[Row], list[Row]]:
    """Return events between two log ids, both included, in their order; and some before them, latest first.

    Raises:
        DamagedError: one is not as it was written.
    """
    rows = _found(db, "BETWEEN ? AND ? ORDER BY id LIMIT ?", from_id, to_id, limit)
    return rows, _found(db, "< ? ORDER BY id DESC LIMIT ?", from_id, _LOOK_BACK) if rows else []


def _found(db: sqlite3.Connection, where: str, *arguments: int) -> list[Row]:
    # No index at all is worth a look at each reading: say which one it is to be.
    text = f"SELECT {LOG_COLUMNS} FROM log INDEXED BY log_event WHERE meta = {EVENT_META} AND id {where}"  # noqa: S608 - our own words
    rows = [Row._make(row) for row in db.execute(text, arguments)]
    if not all(map(intact, rows)):
        raise DamagedError("an event is not as it was written")
    return rows


def for_one(rows: Iterable[Row], before: Sequence[Row], mine: Mine) -> Iterator[Row]:
    """Give those of an uplink. Where the number before is of none of them, ``above`` says which one was."""
    latest: dict[int, int] = {}
    for row in before:
        if row.stream not in latest and mine(row):
            latest[row.stream] = row.seq
    for row in reversed(before):  # of what is older nothing is known
        latest.setdefault(row.stream, row.seq - 1)
    for row in rows:
        if not mine(row):
            latest.setdefault(row.stream, row.seq - 1)
            continue
        last = latest.get(row.stream, row.seq - 1)
        latest[row.stream] = row.seq
        if last == row.seq - 1:
            yield row
        else:
            yield row._replace(body=orjson.dumps(orjson.loads(row.body) | {"above": last}))


def is_for(row: Row, uplink: str, streams: Mapping[int, Stream], off: Collection[int]) -> bool:
    """Say whether an event goes to an uplink. ``off``: streams of devices that are not on it now."""
    content = orjson.loads(row.body)
    if "uplink" in content:  # that a device is not on it any more
        return bool(content["uplink"] == uplink)
    device = content["device"]
    # Of earlier epochs nothing says that a device has come back.
    latest = max((id_ for id_, of in streams.items() if of.device == device), default=0)
    return latest not in off


def retired(rows: Iterable[Row], uplink: str) -> Retired:
    """Return which devices are told to be gone from an uplink, and in which event."""
    found = {}
    for row in rows:
        content = orjson.loads(row.body)
        if content["event"] == "retired" and content.get("uplink") == uplink:
            found[content["device"]] = row.stream, row.seq
    return found
