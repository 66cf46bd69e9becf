"""Events on their way: beside the live readings, in their order, however old the first of them is."""

import orjson

from edge_agent.contract.messages import EventMessage
from edge_agent.row import Row, Stream, runs
from edge_agent.uplink.cloudevents import attributes
from edge_agent.uplink.interfaces import Delivery, Gateway
from edge_agent.uplink.lane import Lane
from edge_agent.uplink.log_scan import LogScan
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.topics import Topics

_READ_ROWS = 100


class Events:
    """What one connection tells of events. They are few: all come from the log, which finds them quickly."""

    def __init__(self, delivery: Delivery) -> None:
        self.lane = Lane({})
        self._delivery, self._scan = delivery, LogScan()
        self._scan.begin(delivery.scan_from, delivery.last_id)

    @property
    def runs_low(self) -> bool:
        """Whether few wait and the log may have more."""
        return self._scan.more and self.lane.waiting < _READ_ROWS // 2

    async def read(self) -> None:
        """Read the next ones."""
        upto = self._scan.limit  # it may be extended meanwhile
        rows, self._scan.cursor = await self._delivery.log.read_events(self._scan.cursor, upto, _READ_ROWS)
        self.lane.add(runs(rows))

    def appended(self) -> None:
        """There is a new one in the log."""
        self._scan.extend(self._delivery.last_id)

    def low_water(self) -> int | None:
        """The lowest log id that waits, or None."""
        places = (self._scan.cursor if self._scan.more else None, self.lane.low_water())
        return min((id_ for id_ in places if id_ is not None), default=None)


def event(gateway: Gateway, topics: Topics, stream: Stream, settled: int, row: Row) -> Outgoing:
    """Return the message of an event."""
    # What the outbox notes beside, or a newer agent has written, is for no broker.
    known, body = EventMessage.model_fields, orjson.loads(row.body)
    content = {key: value for key, value in body.items() if key in known}
    when = gateway.moment(row.boot, row.mono_ms)
    message = EventMessage.model_validate(
        content
        | {
            "site": gateway.site,
            "gateway": gateway.id,
            "epoch": stream.epoch,
            "seq": row.seq,
            "settled": settled,
            "ts": max(0, when.ts),
            "clock": when.clock or None,
            "ts_bounds": when.bounds,
        }
    )
    id_ = f"{gateway.id}/event/{stream.epoch}/{row.seq}"
    about = attributes(topics.base, message.schema_, id_, message.ts)
    return Outgoing(topics.event(content["device"]), message.payload(), attributes=about)
