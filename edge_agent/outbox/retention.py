"""What leaves the outbox: readings that every uplink has, once they are old or the file is full."""

from edge_agent.clock import Clock
from edge_agent.outbox import queries
from edge_agent.outbox.policy import Policy
from edge_agent.outbox.store import Store
from edge_agent.outbox.timeline import Timeline
from edge_agent.row import Row

_LEAST = 4096  # rows that go at a time: fewer would write the same pages again and again


class Retention:
    """Decides, now and then, below which log id everything may go. Ages are running time, never wall time."""

    def __init__(self, db: Store, timeline: Timeline, clock: Clock, policy: Policy, first_id: int) -> None:
        self._db, self._timeline, self._clock = db, timeline, clock
        self._first_id = first_id
        self.limit(policy)

    def limit(self, policy: Policy) -> None:
        """Keep as long from now on, and no more, as this says."""
        self._replay_ms, self._max_size = policy.replay * 1000, policy.max_size

    def outlived(self, row: Row) -> bool:
        """Say whether a row is older than any is kept for whose uplinks have it."""
        return self._is_old(row.boot, row.mono_ms)

    def _is_old(self, boot: int, mono_ms: int) -> bool:
        running = self._timeline.running_ms
        now_ms = running(self._timeline.boot, self._clock.mono_ms())
        return now_ms - running(boot, mono_ms) > self._replay_ms

    async def drop_below(self, floor: int, appended: int) -> int:
        """Return the log id below which all rows may go, 0 for none.

        ``floor`` is the lowest id that any uplink is still owed; ``appended`` how many rows came since the
        last call: at least twice as many may go, so that the file converges.
        """
        row = await self._db.run(queries.at, self._first_id + max(_LEAST, 2 * appended))
        if row is None or row[0] > floor:
            return 0
        id_, boot, mono_ms = row
        if self._is_old(boot, mono_ms) or await self._db.run(queries.bytes_held) > self._max_size:
            return id_
        return 0

    def dropped(self, below: int) -> None:
        """All rows below this id are gone."""
        self._first_id = below
