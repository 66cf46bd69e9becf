"""Messages to the broker and from it, as this room knows them."""

from dataclasses import dataclass, replace
from typing import Literal

from edge_agent.uplink.cloudevents import Attributes

_AROUND = 48  # bytes: header, lengths, packet id, and the properties that we give
_ENCODING = 32  # bytes: what says that a payload is packed


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be published.

    ``expiry``, in seconds, ``correlation``, ``encoding`` (of the payload) and ``attributes`` are of MQTT 5.
    """

    topic: str
    payload: bytes
    retain: bool = False
    qos: Literal[0, 1] = 1
    expiry: int | None = None
    correlation: bytes | None = None
    encoding: Literal["", "gzip"] = ""
    attributes: Attributes = ()

    @property
    def plain(self) -> bool:
        """Whether there is nothing beside it that others have not."""
        return self.expiry is None and self.correlation is None and not (self.encoding or self.attributes)

    @property
    def packet_size(self) -> int:
        """How many bytes the whole packet has, at most."""
        beside = len(self.correlation or b"") + (_ENCODING if self.encoding else 0)
        beside += sum(len(name) + len(value) + 5 for name, value in self.attributes)
        return len(self.topic.encode()) + len(self.payload) + beside + _AROUND

    def within(self, packet: int) -> "Outgoing":
        """Leave out the attributes, which only repeat, where the packet would be larger than this."""
        return replace(self, attributes=()) if self.attributes and self.packet_size > packet else self


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message. ``retained``: it was published to be retained, or is older than our subscription.

    ``expiry``: seconds that were left of it, ``response_topic`` and ``correlation`` where it had them: MQTT 5
    only. ``mid`` is what its acknowledgement names, 0 where it needs none.
    """

    topic: str
    payload: bytes
    retained: bool = False
    expiry: int | None = None
    response_topic: str | None = None
    correlation: bytes | None = None
    mid: int = 0
