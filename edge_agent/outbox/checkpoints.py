"""When the marks are due, and what goes into them: numbers and debts that a restart knows without the log."""

from collections.abc import Iterable, Mapping

from edge_agent.outbox.delivery import CHECKPOINT_EVERY, Delivery
from edge_agent.outbox.rows import Checkpoint, LossAck

_EVERY_MS = 10_000


class Checkpoints:
    """What has changed since the last marks. ``rows`` were appended."""

    def __init__(self, now_ms: int) -> None:
        self.rows = 0
        self._marked_ms = now_ms
        self._next_seq: dict[int, int] = {}  # of the streams that appended

    def appended(self, next_seq: Mapping[int, int], rows: int) -> None:
        """Streams have more readings, and these next numbers."""
        self._next_seq.update(next_seq)
        self.rows += rows

    def due(self, now_ms: int, deliveries: Iterable[Delivery]) -> bool:
        """Say whether it is time to write them."""
        many = max([self.rows, *(delivery.unsaved for delivery in deliveries)])
        return now_ms - self._marked_ms >= _EVERY_MS or many >= CHECKPOINT_EVERY

    def marks(
        self, next_id: int, now_ms: int, boot: int, deliveries: Iterable[Delivery]
    ) -> tuple[Checkpoint, list[LossAck]]:
        """Return the marks, and which declarations were acknowledged."""
        marks = Checkpoint(next_id, self._next_seq, {}, {}, now_ms, boot)
        return marks, [heard for delivery in deliveries for heard in delivery.mark(marks)]

    def done(self, now_ms: int) -> None:
        """The marks are part of what will be written: all before counts as marked."""
        self._marked_ms, self.rows, self._next_seq = now_ms, 0, {}
