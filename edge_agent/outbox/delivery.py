"""What one uplink has been given, and what it is still owed."""

from collections.abc import Callable, Sequence

from edge_agent.kept import Declared, Row
from edge_agent.outbox import transactions
from edge_agent.outbox.ranges import Ranges
from edge_agent.outbox.rows import Marks, Opened
from edge_agent.outbox.store import Store


class Delivery:
    """One uplink's share of the log.

    ``backlog`` is the number of kept readings that were not acknowledged, ``last_id`` the log id of the
    newest row on disk. The uplink sets ``on_kept``, which hears of every commit, and ``low_water``, which
    gives the lowest log id that may still be owed: there a restart begins to read.
    """

    def __init__(self, name: str, opened: Opened, db: Store) -> None:
        self.uplink, self._scan_from = opened.uplinks[name]
        self.streams = opened.streams
        self.backlog = 0
        self.acknowledged = 0
        self.last_id = opened.next_id - 1
        self.on_kept: Callable[[Sequence[Row], Sequence[Declared]], None] | None = None
        self.low_water: Callable[[], int] | None = None
        self._db = db
        self._ranges = {
            stream: ranges for (uplink, stream), ranges in opened.delivery.items() if uplink == self.uplink
        }
        self._lost: dict[int, Ranges] = {}  # given up, and the declaration not acknowledged yet
        self._dirty: set[int] = set()
        self._declared: list[int] = []

    async def count(self) -> None:
        """Work out the backlog from the numbers alone, without reading the log."""
        for loss in await self.open_losses():
            self._give_up(loss)
        self.backlog = sum(
            stream.next_seq - 1 - self._of(stream.id).count() - self._lost_of(stream.id).count()
            for stream in self.streams.values()
        )

    @property
    def scan_from(self) -> int:
        """The lowest log id that may still be owed."""
        if self.low_water is not None:
            self._scan_from = max(self._scan_from, self.low_water())
        return self._scan_from

    def _of(self, stream: int) -> Ranges:
        return self._ranges.setdefault(stream, Ranges())

    def settled(self, stream: int) -> int:
        """All readings of a stream up to this number are acknowledged or declared lost."""
        return self._of(stream).settled

    def _lost_of(self, stream: int) -> Ranges:
        return self._lost.get(stream) or Ranges()

    def owes(self, stream: int, seq: int) -> bool:
        """Say whether a reading was neither acknowledged nor given up yet."""
        return seq not in self._of(stream) and (stream not in self._lost or seq not in self._lost[stream])

    def settle(self, stream: int, first: int, last: int) -> None:
        """Accept: the broker has taken these readings."""
        ranges = self._of(stream)
        if stream in self._lost:  # some of them may have been given up while they were on their way
            self.backlog -= sum(self.owes(stream, seq) for seq in range(first, last + 1))
            self.acknowledged += ranges.add(first, last)
        else:
            new = ranges.add(first, last)
            self.backlog -= new
            self.acknowledged += new
        self._dirty.add(stream)

    def lose(self, loss: Declared) -> None:
        """Readings that this uplink was owed are given up: they are declared, and not sent any more."""
        self.backlog -= self._give_up(loss)

    def _give_up(self, loss: Declared) -> int:
        if loss.to_seq is None:  # the end of an epoch: nothing of it is left to be sent
            return 0
        return self._lost.setdefault(loss.stream, Ranges()).add(loss.from_seq, loss.to_seq)

    async def reject(self, row: Row, why: str) -> Declared:
        """Give up a reading that the broker can never take: a copy is set aside, the ledger says why."""
        loss = await self._db.run(transactions.reject, self.uplink, row, why)
        self.lose(loss)
        return loss

    def settle_loss(self, loss: Declared) -> None:
        """Accept: the broker has taken the declaration of a loss."""
        if loss.to_seq is not None:
            self._of(loss.stream).add(loss.from_seq, loss.to_seq)
        self._dirty.add(loss.stream)
        self._declared.append(loss.id)

    def rewind(self) -> None:
        """A session ended: what it did not acknowledge will be read from the log again."""
        self._scan_from = self.scan_from
        for ranges in self._ranges.values():
            ranges.forget(transactions.MAX_BEYOND)

    async def read(self, from_id: int, to_id: int, limit: int) -> list[Row]:
        """Read a piece of the log, both ends included, at most ``limit`` rows."""
        return await self._db.run(transactions.read, from_id, to_id, limit)

    async def open_losses(self) -> list[Declared]:
        """Return the ledger entries that were not acknowledged, oldest first."""
        return await self._db.run(transactions.open_losses, self.uplink)

    async def count_session(self) -> int:
        """Count one more CONNECT."""
        return await self._db.run(transactions.count_session, self.uplink)

    async def descriptions(self) -> dict[int, tuple[str, str]]:
        """Return every description by id: hash and JSON body."""
        return await self._db.run(transactions.descriptions)

    def mark(self, marks: Marks) -> list[tuple[int, int]]:
        """Add what changed to the marks; return the acknowledged declarations. Kept until ``marked``."""
        marks.scan_from[self.uplink] = self.scan_from
        for stream in self._dirty:
            marks.delivery[self.uplink, stream] = Ranges(
                self._ranges[stream].settled, list(self._ranges[stream].beyond)
            )
        return [(self.uplink, loss) for loss in self._declared]

    def marked(self, marks: Marks, declared: Sequence[tuple[int, int]]) -> None:
        """The marks are on disk. What changed since they were taken stays to be written."""
        for (uplink, stream), ranges in marks.delivery.items():
            now = self._ranges.get(stream)
            if uplink == self.uplink and now and (now.settled, now.beyond) == (ranges.settled, ranges.beyond):
                self._dirty.discard(stream)
        done = {loss for uplink, loss in declared if uplink == self.uplink}
        self._declared = [loss for loss in self._declared if loss not in done]
