"""What leaves the outbox: readings that every uplink has, once they are old or the file is full."""

from edge_agent.outbox import transactions
from edge_agent.outbox.store import Store
from edge_agent.outbox.timeline import Timeline

_LEAST = 4096  # rows that go at a time: fewer would write the same pages again and again


class Retention:
    """Decides, now and then, below which log id everything may go. Ages are running time, never wall time."""

    def __init__(self, db: Store, timeline: Timeline, replay: float, max_size: int, first_id: int) -> None:
        self._db, self._timeline = db, timeline
        self._first_id = first_id
        self.limit(replay, max_size)

    def limit(self, replay: float, max_size: int) -> None:
        """Keep so long from now on, in seconds, and no more than so many bytes."""
        self._replay_ms = replay * 1000
        self._max_size = max_size

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

    def dropped(self, below: int) -> None:
        """All rows below this id are gone."""
        self._first_id = below
