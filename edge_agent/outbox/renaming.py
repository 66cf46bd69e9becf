"""A gateway that gets another name: once all is sent under the old one, numbers begin anew in a new epoch."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.outbox import machine, store
from edge_agent.outbox.admission import GONE
from edge_agent.outbox.epochs import new_epoch
from edge_agent.outbox.opening import naming, open_file
from edge_agent.outbox.policy import Identity
from edge_agent.outbox.recipients import Recipients
from edge_agent.outbox.seal import SIGNED, seal, sign
from edge_agent.outbox.store import transaction
from edge_agent.outbox.witness import Testimony, Witness


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What uplinks have not acknowledged: readings and events, by name; declared losses, of all together."""

    readings: dict[str, int]
    losses: int

    @property
    def nothing(self) -> bool:
        """Whether everybody has everything."""
        return not self.losses and not any(self.readings.values())


async def rename(path: Path, was: Identity, to: Identity, clock: Clock) -> Outstanding:
    """Number readings under another site or gateway from now on, if nothing is owed under the old ones.

    May be done again; where there is no outbox there is nothing to do. Returns what is owed: then nothing
    was changed.

    Raises:
        OutboxError: it is in use, or cannot be used.
        DamagedError: it is damaged; the agent salvages it at its next start.
    """
    with naming(path):
        if _numbered_under(path) in {None, to}:
            return Outstanding({}, 0)
    witness = Witness(store.lock(path))
    try:
        with naming(path):
            # No uplink is named: all are looked at as they are, and the next run finds them so.
            db, opened = await open_file(path, witness, was, clock, {}, None)
            try:
                recipients = Recipients(db, opened, {})
                await recipients.count()
                owed = Outstanding(
                    {name: delivery.owed for name, delivery in recipients.parked.items()},
                    await db.run(_owed_losses),
                )
                epoch = await db.run(_begin, to) if owed.nothing else opened.epoch
            finally:
                await db.close()
        if owed.nothing:
            now = Testimony(opened.runs, opened.next_id, "closed", epoch, *to, machine=machine.fingerprint())
            witness.write(now)
        else:
            witness.write(replace(witness.read(), runs=opened.runs, next_id=opened.next_id, state="closed"))
        return owed
    finally:
        witness.close()


def _numbered_under(path: Path) -> Identity | None:
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'outbox'").fetchone():
            return None
        found = db.execute("SELECT site, gateway FROM epoch JOIN outbox ON epoch = epoch.id").fetchone()
    return Identity(*found) if found else None


def _owed_losses(db: sqlite3.Connection) -> int:
    (count,) = db.execute(
        "SELECT count(DISTINCT loss) FROM loss_owed JOIN uplink ON uplink = uplink.id WHERE parked != ?",
        (GONE,),
    ).fetchone()
    return int(count)


def _begin(db: sqlite3.Connection, to: Identity) -> str:
    with transaction(db):
        epoch = new_epoch(db, *to, "renamed")
        db.execute("UPDATE outbox SET epoch = ?", (epoch,))
        sign(db, *SIGNED)
        seal(db)
        (name,) = db.execute("SELECT name FROM epoch WHERE id = ?", (epoch,)).fetchone()
    return str(name)
