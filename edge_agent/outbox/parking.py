"""An uplink that is gone from the configuration: it is parked for the replay window, then given up."""

import sqlite3
from collections.abc import Sequence

from edge_agent.outbox import ledger
from edge_agent.outbox.apart import GONE
from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.share import Part
from edge_agent.outbox.store import Store
from edge_agent.outbox.transactions import transaction


async def give_up(db: Store, delivery: Delivery) -> int:
    """Declare all that a parked uplink is owed, and return how many readings that were.

    Should it come back it hears of that, and begins anew.
    """
    owed = [
        (stream.id, part)
        for stream in delivery.streams.values()
        if (part := delivery.would_lose(stream.id, 1, stream.next_seq - 1, None)) is not None
    ]
    await db.run(_write, delivery.uplink, owed)
    return sum(part.readings for _, part in owed)


def _write(db: sqlite3.Connection, uplink: int, owed: Sequence[tuple[int, Part]]) -> None:
    with transaction(db):
        if db.execute("SELECT parked FROM uplink WHERE id = ?", (uplink,)).fetchone() == (GONE,):
            return  # done, and not heard
        for stream, part in owed:
            loss = db.execute(
                "INSERT INTO loss (stream, from_seq, to_seq, readings, reason) VALUES (?, ?, ?, ?, ?)",
                (stream, *part, "removed"),
            ).lastrowid
            db.execute("INSERT INTO loss_owed (uplink, loss) VALUES (?, ?)", (uplink, loss))
        ledger.count(db, sum(part.readings for _, part in owed), kept=True)
        db.execute("UPDATE uplink SET parked = ? WHERE id = ?", (GONE, uplink))
