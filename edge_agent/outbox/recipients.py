"""Who is owed what is kept: the uplinks of the configuration, and those that are gone from it.

One that is gone is parked for the replay window, as it is; then what it is owed is given up.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from edge_agent.outbox import ledger
from edge_agent.outbox.admission import GONE
from edge_agent.outbox.batch import Batch, Loss
from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.ledger import Recorded
from edge_agent.outbox.opened import Opened
from edge_agent.outbox.policy import Selection
from edge_agent.outbox.seal import seal, sign
from edge_agent.outbox.store import Store, transaction
from edge_agent.outbox.stream_delivery import LostPart
from edge_agent.row import Row, runs

log = logging.getLogger(__name__)


class Recipients:
    """All of them, by name: ``configured`` are those of the configuration, ``parked`` those that left it.

    ``on_much_unsaved`` is told when many readings were acknowledged since the last checkpoint; ``outlived``
    says whether a row is older than acknowledged ones are kept for.
    """

    def __init__(
        self,
        db: Store,
        opened: Opened,
        selections: Mapping[str, Selection],
        on_much_unsaved: Callable[[], None] = lambda: None,
        outlived: Callable[[Row], bool] = lambda _row: False,
    ) -> None:
        self._db, self._parked_since = db, opened.parked
        self._on_much_unsaved, self._outlived = on_much_unsaved, outlived
        self.configured = {name: Delivery(name, opened, db) for name in selections}
        self.parked = {name: Delivery(name, opened, db) for name in opened.parked}
        for delivery in self:
            delivery.on_much_unsaved, delivery.outlived = on_much_unsaved, outlived

    def __iter__(self) -> Iterator[Delivery]:
        """Go through all deliveries."""
        yield from self.configured.values()
        yield from self.parked.values()

    async def count(self) -> None:
        """Work out what each is owed."""
        for delivery in self:
            await delivery.count()
        for name, delivery in self.parked.items():
            _log_parked(name, delivery)

    async def change(self, now: Opened, selections: Mapping[str, Selection]) -> None:
        """Follow a change of the file, which ``now`` tells: some are gone, or back, or get other devices."""
        before = {**self.configured, **self.parked}
        new = {name: Delivery(name, now, self._db) for name in now.uplinks if name not in before}
        for delivery in new.values():
            await delivery.count()
            delivery.on_much_unsaved, delivery.outlived = self._on_much_unsaved, self._outlived
        for name, delivery in self.configured.items():
            if name not in selections:
                _log_parked(name, delivery)
        known = before | new
        self.configured = {name: known[name] for name in selections}
        self.parked = {name: known[name] for name in now.parked}
        self._parked_since = dict(now.parked)
        for delivery in self:
            delivery.reselect(now)

    def kept(self, batch: Batch, recorded: Sequence[Recorded]) -> None:
        """A commit is on disk: tell everyone what it had, and what was declared in it."""
        recipients = tuple(self)
        dealt = runs(batch.rows, shared=len(recipients) > 1)
        for delivery in recipients:
            if batch.checkpoint is not None:
                delivery.saved(batch.checkpoint, batch.loss_acks)
            declared = [entry for entry, uplinks in recorded if delivery.uplink in uplinks]
            delivery.kept(batch, dealt, declared)
            delivery.note_retired(batch.events)

    def owed(self, losses: Iterable[Loss]) -> dict[int, Sequence[int]]:
        """Return by stream the uplinks that must hear of these."""
        return {
            loss.stream: [of.uplink for of in self if loss.stream not in of.exclusions.open_from]
            for loss in losses
        }

    async def end_parking(self, running_ms: float, replay_ms: float) -> int:
        """Give up what uplinks are owed that have been gone for the replay window; return how many readings.

        Should such a one come back it hears of that, and begins anew.
        """
        gone = 0
        for name in [name for name, since in self._parked_since.items() if running_ms - since > replay_ms]:
            with suppress(sqlite3.Error):  # again with the next checkpoint
                lost = await self._give_up(self.parked[name])
                del self.parked[name], self._parked_since[name]
                gone += lost
                log.warning(
                    "outbox: uplink %s is gone for good; "
                    "%d readings that it was owed are given up (reason: removed)",
                    name,
                    lost,
                )
        return gone

    async def _give_up(self, delivery: Delivery) -> int:
        owed = [
            (stream.id, part)
            for stream in delivery.streams.values()
            if (part := delivery.would_lose(stream.id, 1, stream.next_seq - 1, None)) is not None
        ]
        await self._db.run(_write_removed, delivery.uplink, owed)
        return sum(part.readings for _, part in owed)


def _log_parked(name: str, delivery: Delivery) -> None:
    log.warning(
        "outbox: uplink %s is not in the configuration; the %d readings that it is owed stay for "
        "outbox.replay",
        name,
        delivery.backlog,
    )


def _write_removed(db: sqlite3.Connection, uplink: int, owed: Sequence[tuple[int, LostPart]]) -> None:
    with transaction(db):
        if db.execute("SELECT parked FROM uplink WHERE id = ?", (uplink,)).fetchone() == (GONE,):
            return  # done, and not heard
        for stream, part in owed:
            loss = db.execute(
                "INSERT INTO loss (stream, from_seq, to_seq, readings, reason) VALUES (?, ?, ?, ?, ?)",
                (stream, *part, "removed"),
            ).lastrowid
            db.execute("INSERT INTO loss_owed (uplink, loss) VALUES (?, ?)", (uplink, loss))
        sign(db, "loss", "loss_owed")
        ledger.count(db, sum(part.readings for _, part in owed), kept=True)
        db.execute("UPDATE uplink SET parked = ? WHERE id = ?", (GONE, uplink))
        seal(db)
