"""Messages to the broker and from it, as this room knows them."""

from dataclasses import dataclass
from typing import Literal

_AROUND = 48  # bytes: header, lengths, packet id, and the properties that we give
_ENCODING = 32  # bytes: what says that a payload is packed


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be published.

    ``expiry``, in seconds, ``correlation`` and ``encoding``, that of the payload, are of MQTT 5 only.
    """

    topic: str
    payload: bytes
    retain: bool = False
    qos: Literal[0, 1] = 1
    expiry: int | None = None
    correlation: bytes | None = None
    encoding: Literal["", "gzip"] = ""

    @property
    def packet_size(self) -> int:
        """How many bytes the whole packet has, at most."""
        beside = len(self.correlation or b"") + (_ENCODING if self.encoding else 0)
        return len(self.topic.encode()) + len(self.payload) + beside + _AROUND


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
