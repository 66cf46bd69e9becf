"""Readings that a broker has taken without a true time: they go out once more with it, behind all else."""

from edge_agent.row import runs
from edge_agent.uplink.in_flight import InFlight
from edge_agent.uplink.interfaces import Delivery, Gateway
from edge_agent.uplink.lane import Lane

_READ_ROWS = 1_000


class Repairs:
    """What goes out once more in one connection, on the history topic, in log order.

    It begins once the clock is known and nothing that was sent without it is on its way: from then on it
    only becomes less. Neither ``settled`` nor the backlog depend on it.
    """

    def __init__(
        self, gateway: Gateway, delivery: Delivery, in_flight: InFlight, names_size: dict[int, int]
    ) -> None:
        self.lane = Lane(names_size, lambda *_: False)  # to be taken settles none of them
        self._gateway, self._delivery, self._in_flight = gateway, delivery, in_flight
        self._cursor = 0
        self._opened = False

    def open(self) -> None:
        """It may flow."""
        self._opened = True

    @property
    def runs_low(self) -> bool:
        """Whether the lane runs low and there is more."""
        return (
            self._opened
            and self._delivery.repairs.following(self._cursor) is not None
            and self.lane.waiting < _READ_ROWS // 2
            and self._gateway.clock_known()
            and not self._in_flight.untimed
        )

    async def read(self) -> None:
        """Read on: of that, what its boot's first true offset has mended."""
        rows, self._cursor = await self._delivery.log.read_repairs(self._cursor, _READ_ROWS)
        moment = self._gateway.moment
        self.lane.add(runs(row for row in rows if moment(row.boot, row.mono_ms).clock == "repaired"))
        self.progressed()

    def progressed(self) -> None:
        """Some of it was taken, or left out."""
        waiting, flying = self.lane.low_water(), self._in_flight.low_water((self.lane,))
        self._delivery.repairs.drop_below(
            min((id_ for id_ in (waiting, flying) if id_ is not None), default=self._cursor)
        )
