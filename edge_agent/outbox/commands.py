"""Which commands were taken, and how they were answered: kept before they are carried out."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.outbox.store import DamagedError, Store, transaction
from edge_agent.outbox.timeline import Timeline
from edge_agent.row import Command

log = logging.getLogger(__name__)

_MOST = 10_000
_REMEMBERED_MS = 86_400_000  # running time
_COLUMNS = "id, name, kept, reply_to, correlation, answer"


class Commands:
    """What the file remembers of commands: of 24 h of running time, at most 10,000.

    ``uplink`` is the one that they come over; None: all that are there.
    """

    def __init__(self, db: Store, timeline: Timeline, clock: Clock, uplink: str | None = None) -> None:
        self._db, self._timeline, self._clock, self._uplink = db, timeline, clock, uplink
        # Written beside what is written next: no more than this is urgent.
        self._acknowledged: list[str] = []

    def over(self, uplink: str) -> "Commands":
        """Return the same for those that come over one uplink."""
        return Commands(self._db, self._timeline, self._clock, uplink)

    def _running_ms(self) -> int:
        return self._timeline.running_ms(self._timeline.boot, self._clock.mono_ms())

    async def recall(self, card: Path) -> None:
        """Remember also what a card knows that takes nothing any more, as far as it can be read."""
        try:
            await self._db.run(_recall, card)
        except (DamagedError, sqlite3.Error) as error:
            log.warning("outbox: the commands that %s knows cannot be read (%s)", card, error)

    async def take(self, id_: str, name: str, reply_to: str, correlation: bytes | None) -> Command | None:
        """Keep a new command. Returns what is known of it where it is not new.

        Raises:
            DamagedError, sqlite3.Error: it could not be kept, and must not be carried out.
        """
        new = Command(id_, name, self._running_ms(), reply_to, correlation, None)
        acknowledged = list(self._acknowledged)
        known = await self._db.run(_take, new, self._uplink, acknowledged)
        if known is None:  # else nothing was written
            self._forget(acknowledged)
        return known

    async def find(self, id_: str) -> Command | None:
        """Return what is known of a command."""
        return await self._db.run(_find, id_)

    async def answer(self, id_: str, answer: bytes) -> None:
        """Keep the answer to a command that was taken."""
        acknowledged = list(self._acknowledged)
        await self._db.run(_answer, id_, answer, acknowledged)
        self._forget(acknowledged)

    def _forget(self, written: list[str]) -> None:
        """These are on disk; by their ids, for another command may have written some of them meanwhile."""
        self._acknowledged = [id_ for id_ in self._acknowledged if id_ not in written]

    def acknowledge(self, id_: str) -> None:
        """A broker has taken the answer; it is written with the next change, or by ``write``."""
        self._acknowledged.append(id_)

    async def write(self) -> None:
        """Write which answers were taken by a broker."""
        if self._acknowledged:
            acknowledged, self._acknowledged = self._acknowledged, []
            await self._db.run(_write_acknowledged, acknowledged)

    async def unacknowledged(self, within_ms: float) -> list[Command]:
        """Return those of so long ago whose answer no broker has taken, and all that have none."""
        return await self._db.run(_unacknowledged, self._running_ms() - within_ms, self._uplink)


def _recall(db: sqlite3.Connection, card: Path) -> None:
    """Read the card as it is: without its log where that cannot be opened on a disk that takes nothing."""
    for how in ("mode=ro", "mode=ro&immutable=1"):
        with closing(sqlite3.connect(f"{card.absolute().as_uri()}?{how}", uri=True)) as old:
            try:
                with transaction(db):
                    carry_over(old, db)
            except (sqlite3.Error, UnicodeDecodeError):  # the card may be damaged, too
                continue
            return
    raise sqlite3.OperationalError("unable to open database file")


def carry_over(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Remember what a volatile outbox does; its running time is another one, so that it counts from now."""
    if ("uplink",) not in old.execute("SELECT name FROM pragma_table_info('command')").fetchall():
        return  # an older agent made it
    (running,) = new.execute("SELECT ifnull(sum(ran_ms), 0) FROM boot").fetchone()
    new.executemany(
        "INSERT OR IGNORE INTO command (id, name, kept, reply_to, correlation, answer, told, uplink)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (id_, name, running, *rest)
            for id_, name, *rest in old.execute(
                "SELECT id, name, reply_to, correlation, answer, told, uplink FROM command ORDER BY n"
            )
        ],
    )


def _take(
    db: sqlite3.Connection, new: Command, uplink: str | None, acknowledged: list[str]
) -> Command | None:
    known = _find(db, new.id)
    if known is not None:
        return known
    with transaction(db):
        _note_acknowledged(db, acknowledged)
        (n,) = db.execute(
            f"INSERT INTO command ({_COLUMNS}, uplink) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING n",  # noqa: S608 - our own names
            (*new, uplink),
        ).fetchone()
        db.execute("DELETE FROM command WHERE n <= ? OR kept < ?", (n - _MOST, new.kept - _REMEMBERED_MS))
    return None


def _find(db: sqlite3.Connection, id_: str) -> Command | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM command WHERE id = ?", (id_,)).fetchone()  # noqa: S608 - as above
    return None if row is None else Command(*row)


def _answer(db: sqlite3.Connection, id_: str, answer: bytes, acknowledged: list[str]) -> None:
    with transaction(db):
        _note_acknowledged(db, acknowledged)
        db.execute("UPDATE command SET answer = ? WHERE id = ?", (answer, id_))


def _write_acknowledged(db: sqlite3.Connection, acknowledged: list[str]) -> None:
    with transaction(db):
        _note_acknowledged(db, acknowledged)


def _note_acknowledged(db: sqlite3.Connection, acknowledged: list[str]) -> None:
    db.executemany("UPDATE command SET told = 1 WHERE id = ?", [(id_,) for id_ in acknowledged])


def _unacknowledged(db: sqlite3.Connection, since: float, uplink: str | None) -> list[Command]:
    found = db.execute(
        f"SELECT {_COLUMNS} FROM command WHERE told = 0 AND (answer IS NULL OR kept >= ?1)"  # noqa: S608 - as above
        " AND (uplink = ?2 OR uplink IS NULL OR ?2 IS NULL) ORDER BY n",
        (since, uplink),
    )
    return [Command(*row) for row in found]
