"""The backlog of one connection: read forward from the log, piece by piece, and dealt into messages."""

from edge_agent.row import runs
from edge_agent.uplink.drain import Drain
from edge_agent.uplink.interfaces import Delivery
from edge_agent.uplink.lane import Lane
from edge_agent.uplink.log_scan import LogScan

_READ_ROWS = 2_000


class History:
    """What was kept before the connection began, and what did not fit into memory since.

    It waits until ``open``, so that gateways do not all come at once. Times are seconds, monotonic.
    """

    def __init__(self, delivery: Delivery, names_size: dict[int, int]) -> None:
        self.lane = Lane(names_size, delivery.owes_any)
        self._delivery = delivery
        self._scan, self._drain = LogScan(), Drain()
        self._scan.begin(delivery.scan_from, delivery.last_id)
        self._opened = False

    def open(self, now: float) -> None:
        """It may flow."""
        self._opened = True
        self._drain.begin(now)

    @property
    def runs_low(self) -> bool:
        """Whether the lane runs low and the log has more."""
        return self._opened and self._scan.more and self.lane.waiting < _READ_ROWS // 2

    @property
    def waits(self) -> bool:
        """Whether some of it was not sent yet."""
        return self._scan.more or bool(self.lane.waiting)

    async def read(self) -> None:
        """Read the next piece of the log."""
        delivery = self._delivery
        upto = self._scan.limit  # it may be extended meanwhile
        rows = await delivery.log.read(self._scan.cursor, upto, _READ_ROWS)
        # events have no description, and a way of their own
        self.lane.add(runs(row for row in rows if row.meta and delivery.owes(row.stream, row.seq)))
        self._scan.advance(rows, upto)

    def extend(self) -> None:
        """Live rows were dropped from memory: all that is on disk is backlog now."""
        self._scan.extend(self._delivery.last_id)

    def acked(self, readings: int, now: float) -> None:
        """So many readings of it were taken."""
        self._drain.acked(readings, now)

    def drain_s(self, now: float) -> float | None:
        """Return in how many seconds it will be gone; None while that is not known."""
        return self._drain.seconds(self._delivery.backlog, now)

    def low_water(self) -> int | None:
        """The lowest log id that waits, or None."""
        places = (self._scan.cursor if self._scan.more else None, self.lane.low_water())
        return min((id_ for id_ in places if id_ is not None), default=None)
