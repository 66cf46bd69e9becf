"""When a checkpoint is due, and what goes into it: what a restart is to know without reading the log.

Not SQLite's own, which moves its write-ahead log into the file. A crash sends again what was acknowledged
since the last one, under the same identity: so it is written rarely, which saves the card.
"""

from collections.abc import Iterable, Mapping

from edge_agent.outbox.batch import Checkpoint, LossAck
from edge_agent.outbox.delivery import CHECKPOINT_EVERY, Delivery

_EVERY_MS = 10_000


class Checkpoints:
    """What has changed since the last checkpoint. ``rows`` were appended."""

    def __init__(self, now_ms: int) -> None:
        self.rows = 0
        self._taken_ms = now_ms
        self._next_seq: dict[int, int] = {}  # of the streams that appended

    def appended(self, next_seq: Mapping[int, int], rows: int) -> None:
        """Streams have more readings, and these next numbers."""
        self._next_seq.update(next_seq)
        self.rows += rows

    def due(self, now_ms: int, deliveries: Iterable[Delivery]) -> bool:
        """Say whether it is time for one."""
        many = max([self.rows, *(delivery.unsaved for delivery in deliveries)])
        return now_ms - self._taken_ms >= _EVERY_MS or many >= CHECKPOINT_EVERY

    def take(
        self, next_id: int, now_ms: int, boot: int, deliveries: Iterable[Delivery]
    ) -> tuple[Checkpoint, list[LossAck]]:
        """Return a checkpoint, and which declarations were acknowledged."""
        checkpoint = Checkpoint(next_id, self._next_seq, {}, {}, now_ms, boot)
        return checkpoint, [ack for delivery in deliveries for ack in delivery.add_to(checkpoint)]

    def taken(self, now_ms: int) -> None:
        """It is part of what will be written: the next one begins here."""
        self._taken_ms, self.rows, self._next_seq = now_ms, 0, {}
