"""What stands on a packet of MQTT 5 beside topic and payload. ``mqtt`` and this are the door to paho."""

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.uplink.message import Outgoing

_SESSION_EXPIRY_S = 86_400  # only so that commands wait for us
_WILL_DELAY_S = 15


def of_connect(receive_maximum: int) -> Properties:
    """Return a CONNECT's: how long the broker keeps our session, and how much we take at once."""
    made = _none(PacketTypes.CONNECT)
    made.SessionExpiryInterval = _SESSION_EXPIRY_S
    made.ReceiveMaximum = receive_maximum
    return made


def of_will(will: Outgoing) -> Properties:
    """Return the will's."""
    made = _json(PacketTypes.WILLMESSAGE)
    made.WillDelayInterval = _WILL_DELAY_S
    made.MessageExpiryInterval = will.expiry
    return made


def of_message(message: Outgoing) -> Properties:
    """Return a message's."""
    made = _json(PacketTypes.PUBLISH)
    if message.encoding:
        made.PayloadFormatIndicator = 0
        made.UserProperty = ("content-encoding", message.encoding)
    if message.expiry is not None:
        made.MessageExpiryInterval = message.expiry
    if message.correlation is not None:
        made.CorrelationData = message.correlation
    return made


def _json(packet: int) -> Properties:
    made = _none(packet)
    made.PayloadFormatIndicator = 1
    made.ContentType = "application/json"
    return made


def _none(packet: int) -> Properties:
    made: Properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    return made
