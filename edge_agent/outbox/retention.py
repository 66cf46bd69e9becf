"""What leaves the outbox: readings that every uplink has, once they are old; and where a full one begins."""

import logging

from edge_agent.outbox import transactions
from edge_agent.outbox.store import Store
from edge_agent.outbox.timeline import Timeline

log = logging.getLogger(__name__)

_LEAST = 4096  # rows that go at a time: fewer would write the same pages again and again
_MOST = 50_000  # bounds the time of a commit
_LOW_MARK, _NO_LONGER_FULL = 0.95, 0.8  # of the limit


class Retention:
    """Decides, now and then, below which log id everything may go. Ages are running time, never wall time."""

    def __init__(self, db: Store, timeline: Timeline, replay: float, max_size: int, first_id: int) -> None:
        self._db, self._timeline = db, timeline
        self._replay_ms = replay * 1000
        self._max_size = max_size
        self._first_id = first_id
        self.full = False

    async def drop_below(self, floor: int, now_ms: int, appended: int) -> int:
        """Return the log id below which all rows may go, 0 for none.

        ``floor`` is the lowest id that any uplink is still owed; ``appended`` how many rows came since the
        last call: at least twice as many may go, so that the file converges.
        """
        row = await self._db.run(transactions.at, self._first_id + max(_LEAST, 2 * appended))
        if row is None or row[0] > floor:
            return 0
        id_, boot, mono_ms = row
        running = self._timeline.running_ms
        old = running(self._timeline.boot, now_ms) - running(boot, mono_ms) > self._replay_ms
        if old or await self._db.run(transactions.bytes_held) > self._max_size:
            return id_
        return 0

    async def too_much(self, next_id: int) -> int:
        """Return the log id below which even rows that are owed must go, 0 while there is room.

        ``full`` says whether that has begun; it ends well below the limit, so that it is told once.
        """
        held = await self._db.run(transactions.bytes_held)
        if held < _NO_LONGER_FULL * self._max_size:
            self.full = False
        if held <= self._max_size:
            return 0
        share = (held - _LOW_MARK * self._max_size) / held
        rows = min(_MOST, max(_LEAST, int(share * (next_id - self._first_id))))
        row = await self._db.run(transactions.at, self._first_id + rows)
        return row[0] if row else 0

    def dropped(self, below: int) -> None:
        """All rows below this id are gone."""
        self._first_id = below
