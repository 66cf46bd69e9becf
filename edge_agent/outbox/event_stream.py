"""The gateway's events on their way into the log: one stream for all of its devices, in each epoch."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from edge_agent.event import GATEWAY, Event
from edge_agent.outbox import events
from edge_agent.outbox.handover import Enrolled, Handover
from edge_agent.outbox.opened import Opened
from edge_agent.outbox.recipients import Recipients
from edge_agent.outbox.seal import seal
from edge_agent.outbox.store import Store, transaction
from edge_agent.outbox.witness import Known
from edge_agent.row import EVENT_META, Row, Stream


class EventStream:
    """What people are to be told of. ``latest``: by device and alarm (``Event.about``) what was told last."""

    def __init__(
        self,
        db: Store,
        opened: Opened,
        handover: Handover,
        recipients: Recipients,
        on_news: Callable[[], None],
    ) -> None:
        self._db, self._handover, self._recipients, self._on_news = db, handover, recipients, on_news
        self._streams, self._epoch = opened.streams, opened.epoch
        self.latest = opened.last_events
        self.stream = 0
        self.enrolled: dict[str, Enrolled] = {}
        self.known: dict[str, Known] = {}

    async def enroll(self) -> None:
        """Make ready for events, before the first is told."""
        stream = self.stream = await self._db.run(_enroll)
        self._streams.setdefault(stream, Stream(stream, self._epoch, GATEWAY, 1, "event"))
        self.enrolled[GATEWAY] = Enrolled.of(stream, EVENT_META, ())
        self.known[GATEWAY] = Known(stream, EVENT_META, "", "")

    def tell(self, event: Event, uplink: str = "", *, stays: bool = False) -> None:
        """Take an event over, for all uplinks or for one. It is kept and numbered as readings are.

        ``stays``: the device is retired from that uplink alone, and what was told of it still holds.
        """
        self._handover.add(self.stream, event.mono_ms, EVENT_META, events.body(event, uplink, stays=stays))
        if event.kind == "retired" and not stays:
            for of in [of for of in self.latest if of.partition("/")[0] == event.device]:
                del self.latest[of]
        if event.kind == "retired" and uplink in self._recipients.configured:
            self._recipients.configured[uplink].retiring(event.device, self.stream)
        self._on_news()

    def among(self, rows: Sequence[Row], next_seq: Mapping[int, int]) -> list[Row]:
        """Return which rows of a commit are events, given the next number of each of its streams."""
        return [row for row in rows if row.meta == EVENT_META] if self.stream in next_seq else []


def _enroll(db: sqlite3.Connection) -> int:
    with transaction(db):
        db.execute(
            "INSERT OR IGNORE INTO stream (epoch, device, kind) SELECT epoch, ?, 'event' FROM outbox",
            (GATEWAY,),
        )
        (stream,) = db.execute(
            "SELECT stream.id FROM stream JOIN outbox USING (epoch) WHERE device = ? AND kind = 'event'",
            (GATEWAY,),
        ).fetchone()
        seal(db)
    return int(stream)
