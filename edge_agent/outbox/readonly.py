"""What an outbox holds, read from its file while an agent may be writing to it. Nothing is changed.

All is as the file knows it: what was acknowledged in the last 10 s may still count as owed.
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from edge_agent.outbox import admission, exclusions, queries
from edge_agent.outbox.exclusions import Exclusions
from edge_agent.outbox.ledger import LOSS_COLUMNS
from edge_agent.outbox.queries import LOG_COLUMNS
from edge_agent.outbox.startup import streams
from edge_agent.outbox.store import APPLICATION_ID, MAJOR, DamagedError, OutboxError, is_damage
from edge_agent.outbox.stream_delivery import DeliveryRow, StreamDelivery
from edge_agent.outbox.timeline import Timeline
from edge_agent.row import EVENT_META, Declared, Moment, Row, intact

_AT_A_TIME = 2_000  # rows; between them the agent may make its write-ahead log shorter
_BACK_AT_A_TIME = 8_000  # rows; half a megabyte of them, so that a card is read in large pieces
_STEPS = 20_000  # of SQLite, between two looks at the time
_MOST_LOOKED_AT = 500_000  # rows, for the oldest one that is owed
NEWEST = 2**63 - 1
"""Above all numbers of the log and the ledger."""


@dataclass(frozen=True, slots=True)
class UplinkSummary:
    """What one uplink is owed. ``parked``: it is not in the configuration any more.

    ``oldest`` is when the oldest reading of it was made, ``age_s`` how long ago, in seconds in which the
    gateway ran; None where nothing is owed, or too much to find it quickly.
    """

    name: str
    backlog: int
    acknowledged: int
    parked: bool
    oldest: Moment | None = None
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The outbox as a whole. ``size`` in bytes; ``readings`` are there now, ``lost`` since it was made."""

    epoch: str
    size: int
    readings: int
    lost: int
    uplinks: tuple[UplinkSummary, ...]


class LedgerLoss(NamedTuple):
    """A declaration in the ledger. ``to_seq`` None: to the end of the epoch; ``id`` is its own number."""

    device: str
    epoch: str
    from_seq: int
    to_seq: int | None
    readings: int | None
    from_ts: int | None
    to_ts: int | None
    reason: str
    every: int | None
    id: int


class Described(NamedTuple):
    """What a description says of a reading's values: their names in order, and their UCUM codes by name."""

    names: tuple[str, ...]
    units: dict[str, str]


class KeptReading(NamedTuple):
    """A kept reading with all that its description says."""

    device: str
    epoch: str
    seq: int
    when: Moment
    values: dict[str, object]
    quality: dict[str, list[str]]
    units: dict[str, str]


@contextmanager
def open_read_only(path: Path) -> Iterator["ReadOnlyOutbox"]:
    """Open a file for reading.

    Raises:
        OutboxError: there is none, it may not be read, or it is no outbox of this version.
        DamagedError: it is damaged; also later, while it is read.
    """
    try:
        is_there = path.is_file()
        # without the file of a writer there is none, and SQLite need not make what writers share
        alone = "" if path.with_name(path.name + "-wal").exists() else "&immutable=1"
    except OSError as error:  # a card that dies
        raise OutboxError(f"{path}: cannot be read ({error.strerror}); check the disk") from None
    if not is_there:
        raise OutboxError(f"{path}: there is no outbox; give the configuration with --config")
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", uri=True, timeout=5)
        ) as db:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION_ID or version // 1000 != MAJOR:
                raise OutboxError(f"{path}: is no outbox of this version; see --config")
            yield ReadOnlyOutbox(path, db)
    except (sqlite3.Error, UnicodeDecodeError, DamagedError) as error:
        if isinstance(error, sqlite3.Error) and not is_damage(error):
            raise OutboxError(f"{path}: cannot be read ({error}); use sudo") from None
        raise DamagedError(
            f"{path}: is damaged ({error}); the agent salvages it when it is started next"
        ) from None


class ReadOnlyOutbox:
    """An outbox that is open for reading."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        pieces: dict[int, list[tuple[int, int]]] = {}
        for boot, *piece in db.execute("SELECT boot, from_mono, offset_ms FROM clock ORDER BY 1, 2"):
            pieces.setdefault(boot, []).append((piece[0], piece[1]))
        ran_ms = dict(db.execute("SELECT id, ran_ms FROM boot"))
        self._boot = max(ran_ms, default=0)
        self._now_ms = sum(ran_ms.values())
        self._timeline = Timeline(self._boot, ran_ms, pieces)

    def summary(self) -> Summary:
        """Look at the whole of it."""
        db = self._db
        epoch, upto, lost = db.execute(
            "SELECT epoch.name, upto, lost FROM outbox JOIN epoch ON epoch.id = epoch"
        ).fetchone()
        (readings,) = db.execute("SELECT count(*) FROM log WHERE meta != ?", (EVENT_META,)).fetchone()
        known = streams(db, upto)
        runs = exclusions.load(db)
        uplinks = []
        for uplink, name, scan_from, acknowledged, parked in db.execute(
            "SELECT id, name, scan_from, acknowledged, parked FROM uplink ORDER BY name"
        ).fetchall():
            if parked == admission.GONE:
                continue
            missing = Exclusions(runs.get(uplink, ()))
            by_stream = {id_: StreamDelivery() for id_ in known}
            for stream, *written in db.execute(
                "SELECT stream, settled, beyond, given_up FROM delivery WHERE uplink = ?", (uplink,)
            ):
                by_stream[stream] = StreamDelivery.read(DeliveryRow(*written))
            for stream in known.values():
                for run in missing.runs(stream):
                    by_stream[stream.id].skip(*run)
            for loss in queries.open_losses(db, uplink, 0, -1):
                if loss.to_seq is not None:
                    by_stream[loss.stream].lose(loss.id, loss.from_seq, loss.to_seq, loss.every)
            counted = ((id_, of) for id_, of in known.items() if of.kind == "reading")
            backlog = sum(by_stream[id_].owed(1, of.next_seq - 1) for id_, of in counted)
            oldest = self._oldest(scan_from, by_stream) if backlog else None
            since = oldest or (None, None)
            uplinks.append(UplinkSummary(name, backlog, acknowledged, parked is not None, *since))
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        size = sum(file.stat().st_size for file in files if file.exists())
        return Summary(epoch, size, readings, lost, tuple(uplinks))

    def _oldest(self, from_id: int, by_stream: dict[int, StreamDelivery]) -> tuple[Moment, float] | None:
        rows = self._db.execute(
            "SELECT stream, seq, boot, mono FROM log WHERE id >= ? AND meta != ? ORDER BY id LIMIT ?",
            (from_id, EVENT_META, _MOST_LOOKED_AT),
        )
        for stream, seq, boot, mono in rows:
            if by_stream[stream].owes(seq):
                age = max(0, self._now_ms - self._timeline.running_ms(boot, mono)) / 1000
                return self._timeline.moment(boot, mono), age
        return None

    def losses(self, below: int = NEWEST) -> Iterator[LedgerLoss]:
        """Yield what the ledger still has below a number, the newest first."""
        names = self._names()
        found = self._db.execute(
            f"SELECT {LOSS_COLUMNS} FROM loss WHERE id < ? ORDER BY id DESC",  # noqa: S608 - our own names
            (below,),
        )
        for row in found:
            loss = Declared(*row)
            if loss.stream not in names:
                continue
            device, epoch = names[loss.stream]
            yield LedgerLoss(
                device, epoch, loss.from_seq, loss.to_seq, loss.readings,
                self._ts(loss.from_boot, loss.from_mono), self._ts(loss.to_boot, loss.to_mono),
                loss.reason, loss.every, loss.id,
            )  # fmt: skip

    def readings(
        self,
        devices: Collection[str],
        from_ms: int | None,
        to_ms: int | None,
        tell: Callable[[float], None] = lambda _share: None,
    ) -> Iterator[KeptReading]:
        """Yield the readings of some devices, none for all, made from a time on and before another.

        They come in the order of keeping, a piece at a time. ``tell`` hears how much is done, 0 to 1.

        Raises:
            DamagedError: one is not as it was written; all before it are.
        """
        names = self._names()
        described = self._described()
        first, last = self._db.execute("SELECT ifnull(min(id), 1), ifnull(max(id), 0) FROM log").fetchone()
        at = first
        while rows := queries.read(self._db, at, last, _AT_A_TIME):
            for row in rows:
                device, epoch = names.get(row.stream, ("", ""))
                if not device or (devices and device not in devices):
                    continue
                when = self._timeline.moment(row.boot, row.mono_ms)
                if (from_ms is None or when.ts >= from_ms) and (to_ms is None or when.ts < to_ms):
                    yield _reading(device, epoch, when, row, described[row.meta])
            at = rows[-1].id + 1
            tell((at - first) / (last - first + 1))

    def newest(
        self, device: str, from_ms: int, within: float, at_once: int = _BACK_AT_A_TIME
    ) -> Iterator[KeptReading]:
        """Yield the readings of a device, "" for all, back to a time, the newest first; no broken ones.

        So many rows are in memory ``at_once``.

        Raises:
            TimeoutError: it took longer than ``within`` seconds.
        """
        names = {id_: name for id_, name in self._names().items() if device in {"", name[0]}}
        described = self._described()
        with self.within(within) as until:
            for row in self._backward(names, from_ms, at_once):
                if time.monotonic() > until:
                    raise TimeoutError
                if intact(row):
                    when = self._timeline.moment(row.boot, row.mono_ms)
                    yield _reading(*names[row.stream], when, row, described[row.meta])

    @contextmanager
    def within(self, seconds: float) -> Iterator[float]:
        """Have what is read in here end with a TimeoutError after so long; yields when that is."""
        until = time.monotonic() + seconds
        self._db.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        try:
            yield until
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise TimeoutError from None
            raise
        finally:
            self._db.set_progress_handler(None, 0)

    def events(self, at: int, *, back: bool) -> Iterator[tuple[Row, Moment]]:
        """Yield events from a log id on, or ``back`` those before it, with their times; no broken ones."""
        where = "id < ? ORDER BY id DESC" if back else "id >= ? ORDER BY id"
        text = f"SELECT {LOG_COLUMNS} FROM log INDEXED BY log_event WHERE meta = {EVENT_META} AND {where}"  # noqa: S608 - our own words
        for found in self._db.execute(text, (at,)):
            row = Row._make(found)
            if intact(row):
                yield row, self._timeline.moment(row.boot, row.mono_ms)

    def _backward(self, streams: Collection[int], from_ms: int, at_once: int) -> Iterator[Row]:
        """Yield the rows of some streams, the newest first, until a whole piece of the log is older.

        Each piece is read forward: Linux reads ahead only there, and backward each page is read by itself.
        """
        places = ",".join("?" * len(streams))
        (top,) = self._db.execute("SELECT ifnull(max(id), 0) FROM log").fetchone()
        while (newest := self._moment("id <= ? ORDER BY id DESC", top)) and newest >= from_ms:
            piece = self._db.execute(
                f"SELECT {LOG_COLUMNS} FROM log WHERE id > ? AND id <= ? AND stream IN ({places})"  # noqa: S608 - our own names
                " ORDER BY id",
                (top - at_once, top, *streams),
            ).fetchall()
            yield from map(Row._make, reversed(piece))
            top -= at_once

    def newest_ms(self) -> int | None:
        """Return when the newest row was made, as far as that is known; None without any."""
        return self._moment("id > ? ORDER BY id DESC", 0)

    def _moment(self, which: str, id_: int) -> int | None:
        found = self._db.execute(f"SELECT boot, mono FROM log WHERE {which} LIMIT 1", (id_,)).fetchone()  # noqa: S608 - our own
        return None if found is None else self._timeline.moment(*found).ts

    def _described(self) -> dict[int, Described]:
        found = (
            (id_, orjson.loads(body)["channels"])
            for id_, body in self._db.execute("SELECT id, body FROM meta")
        )
        return {
            id_: Described(tuple(channels), {name: one.get("unit", "") for name, one in channels.items()})
            for id_, channels in found
        }

    def devices(self) -> list[str]:
        """Return every device that has readings or losses."""
        return sorted({device for device, _ in self._names().values()})

    def _names(self) -> dict[int, tuple[str, str]]:
        found = self._db.execute(
            "SELECT stream.id, device, epoch.name FROM stream JOIN epoch ON epoch.id = stream.epoch"
            " WHERE kind = 'reading'"
        )
        return {id_: (device, epoch) for id_, device, epoch in found}

    def _ts(self, boot: int | None, mono: int | None) -> int | None:
        return None if boot is None or mono is None else self._timeline.moment(boot, mono).ts


def _reading(device: str, epoch: str, when: Moment, row: Row, described: Described) -> KeptReading:
    content = orjson.loads(row.body)
    values, quality = (content, {}) if isinstance(content, list) else (content["v"], content["q"])
    named = {name: value for name, value in zip(described.names, values, strict=True) if value is not None}
    return KeptReading(device, epoch, row.seq, when, named, quality, described.units)
