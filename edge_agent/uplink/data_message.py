"""The messages that carry readings. Pure."""

from edge_agent.row import Run
from edge_agent.uplink.cloudevents import attributes
from edge_agent.uplink.interfaces import Delivery, Gateway
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.payload import Description, Envelope, encode
from edge_agent.uplink.topics import Topics

LEAST_ROOM = 1024  # bytes: a smaller message would cost more than the wait for an acknowledgement
_LARGEST_PACKET = 64 * 1024
_LARGEST_OF_ALL = 268_435_455  # MQTT 5.0, 1.5.5
_PACKET_MARGIN = 1024  # for topic and properties


def largest_payload(*packets: int | None) -> int:
    """Return how many bytes of readings a message may have, under the limits of broker and configuration."""
    packet = min(filter(None, (_LARGEST_PACKET, *packets)))
    return packet - min(_PACKET_MARGIN, packet // 4)


def largest_packet(*packets: int | None) -> int:
    """Return how many bytes any packet may have, under the same limits."""
    return min(filter(None, (_LARGEST_OF_ALL, *packets)))


def data(  # noqa: PLR0913, PLR0917 - all that a message is made from
    gateway: Gateway, topics: Topics, delivery: Delivery, description: Description, run: Run, lane: str
) -> Outgoing:
    """Return a run's message. ``lane``: "live" or "history"."""
    stream = delivery.streams[run.stream]
    envelope = Envelope(gateway.site, gateway.id, stream.device, stream.epoch, lane)
    first, last = run.rows[0], run.rows[-1]
    offset = gateway.offset(first.boot, first.mono_ms, last.mono_ms) if first.boot == last.boot else None
    payload = encode(envelope, delivery.settled(run.stream), description, run, gateway.moment, offset)
    seqs = str(first.seq) if len(run.rows) == 1 else f"{first.seq}-{last.seq}"
    id_ = f"{gateway.id}/{stream.device}/{stream.epoch}/{seqs}"
    about = attributes(topics.base, "park.data/1", id_, gateway.moment(first.boot, first.mono_ms).ts)
    return Outgoing(topics.readings(lane, stream.device), payload, attributes=about)
