"""What stands on a packet of MQTT 5 beside topic and payload. ``mqtt`` and this are the door to paho."""

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.uplink.message import Outgoing

_SESSION_EXPIRY_S = 86_400  # only so that commands wait for us
_WILL_DELAY_S = 15
_LARGEST_TAKEN = (
    65_536  # bytes of a packet; a broker drops for us what is larger, which would fill the memory
)
_JSON = b"\x03\x00\x10application/json"  # content type
_LOW_BITS, _MORE = 0x7F, 0x80


def of_connect(receive_maximum: int) -> Properties:
    """Return a CONNECT's: how long the broker keeps our session, and how much we take at once."""
    made = _none(PacketTypes.CONNECT)
    made.SessionExpiryInterval = _SESSION_EXPIRY_S
    made.ReceiveMaximum = receive_maximum
    made.MaximumPacketSize = _LARGEST_TAKEN
    return made


def of_will(will: Outgoing) -> Properties:
    """Return the will's."""
    made = _json(PacketTypes.WILLMESSAGE)
    made.WillDelayInterval = _WILL_DELAY_S
    made.MessageExpiryInterval = will.expiry
    return made


class Packed(bytes):
    """The properties of a PUBLISH as they go on the wire. paho's own take longer than the message itself."""

    def pack(self) -> bytes:
        """Return them, as paho asks."""
        return self


def of_message(message: Outgoing) -> Packed:
    """Return a message's (MQTT 5.0, 2.2.2 and 3.3.2.3)."""
    made = (b"\1\0" if message.encoding else b"\1\1") + _JSON  # payload format indicator: text, or not
    beside = message.attributes
    if message.encoding:
        beside = ("content-encoding", message.encoding), *beside
    if message.expiry is not None:
        made += b"\x02" + message.expiry.to_bytes(4)
    if message.correlation is not None:
        made += b"\x09" + _sized(message.correlation)
    for name, value in beside:
        made += b"\x26" + _sized(name.encode()) + _sized(value.encode())
    return Packed(_length(len(made)) + made)


def _sized(text: bytes) -> bytes:
    return len(text).to_bytes(2) + text


def _length(left: int) -> bytes:
    """Write a variable byte integer (MQTT 5.0, 1.5.5)."""
    made = bytearray()
    while left > _LOW_BITS:
        made.append(left & _LOW_BITS | _MORE)
        left >>= 7
    made.append(left)
    return bytes(made)


def _json(packet: int) -> Properties:
    made = _none(packet)
    made.PayloadFormatIndicator = 1
    made.ContentType = "application/json"
    return made


def _none(packet: int) -> Properties:
    made: Properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    return made
