"""A consumer's connection to a broker: subscribe, and stay subscribed. A consumer's only door to paho."""

import ssl
import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.settings.field_types import Server

Protocol = Literal["5", "3.1.1"]

_CONNECT_S = 10.0
_KEEPALIVE_S = 30
_KEPT_S = 3600  # so long a broker keeps what comes while we are away
_RECEIVE_MAXIMUM = 100
_RETRY_MOST_S = 30
_MOST_PUBLISHED = 16
_NOBODY = 0x10  # MQTT 5.0, 3.4.2.1: no matching subscribers


class SubscriberError(Exception):
    """The broker cannot be reached, or refuses. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where a broker is, and as whom. Without ``ca`` the system's own certificates count."""

    server: Server
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    protocol: Protocol = "5"


class Subscriber:
    """One subscription to some topics, from a thread of paho's.

    ``hear(topic, payload)`` is called for each message, which is acknowledged after it; ``missed()`` when the
    broker kept nothing of what came while we were away; ``tell(text)`` at each change of the connection;
    ``refused(topic, why)`` when what we published is not taken, or heard by nobody. All on paho's thread. A
    bug in ``hear`` is raised by ``close``. Topics that are only ``wished`` for may be denied.
    """

    def __init__(  # noqa: PLR0913 - what a connection is for, and whom it tells
        self,
        login: Login,
        topics: Sequence[str],
        hear: Callable[[str, bytes], None],
        missed: Callable[[], None],
        tell: Callable[[str], None],
        *,
        wished: Sequence[str] = (),
        refused: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._login, self._topics, self._wished = login, topics, wished
        self._hear, self._missed, self._tell, self._told_refused = hear, missed, tell, refused
        self._published: deque[tuple[int, str]] = deque(maxlen=_MOST_PUBLISHED)
        self._ready = threading.Event()
        self._refused = ""
        self._bug: Exception | None = None
        five = login.protocol == "5"
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"watch-{uuid.uuid4().hex[:12]}",
            clean_session=None if five else True,
            protocol=MQTTv5 if five else MQTTv311,
            manual_ack=True,
        )
        self._client.connect_timeout = _CONNECT_S
        self._client.reconnect_delay_set(1, _RETRY_MOST_S)
        if login.username is not None:
            self._client.username_pw_set(login.username, login.password)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._gone
        self._client.on_message = self._message
        self._client.on_publish = self._taken

    def open(self) -> None:
        """Connect, subscribe, and wait for the broker's word; blocks.

        Raises:
            SubscriberError: it does not work, and what to do.
        """
        server = self._login.server
        try:
            if server.tls:
                ca = self._login.ca
                self._client.tls_set_context(ssl.create_default_context(cafile=str(ca) if ca else None))
            if self._login.protocol == "5":
                properties = _properties(PacketTypes.CONNECT, kept_s=_KEPT_S)
                properties.ReceiveMaximum = _RECEIVE_MAXIMUM
                # not clean, though there is nothing yet: mosquitto 2.0 saves no session that began clean
                self._client.connect(
                    server.host, server.port, _KEEPALIVE_S, clean_start=False, properties=properties
                )
            else:
                self._client.connect(server.host, server.port, _KEEPALIVE_S)
        except ssl.SSLError as error:
            told = getattr(error, "verify_message", "") or error.reason or error
            raise SubscriberError(f"{server}: TLS failed ({told}); check --ca") from None
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise SubscriberError(f"{server}: no connection ({reason}); check the address") from None
        self._client.loop_start()
        if not self._ready.wait(2 * _CONNECT_S) or self._refused:
            self.close()
            reason = self._refused or "connected, but no MQTT answer; check the port, or try --protocol 3.1.1"
            raise SubscriberError(f"{server}: {reason}")

    def close(self) -> None:
        """End the connection; the broker forgets the subscription."""
        if self._login.protocol == "5":
            self._client.disconnect(properties=_properties(PacketTypes.DISCONNECT, kept_s=0))
        else:
            self._client.disconnect()
        self._client.loop_stop()
        if self._bug is not None:
            raise self._bug

    @property
    def connected(self) -> bool:
        """Whether the broker hears us now, as far as is known."""
        return self._client.is_connected()

    def publish(self, topic: str, payload: bytes, expiry_s: int) -> None:
        """Publish with QoS 1, not retained."""
        properties = None
        if self._login.protocol == "5":
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
            properties.MessageExpiryInterval = expiry_s
        sent = self._client.publish(topic, payload, 1, properties=properties)
        self._published.append((sent.mid, topic))

    def _taken(self, _c: Client, _d: Any, mid: int, code: ReasonCode, _p: Properties | None) -> None:
        topic = next((topic for known, topic in self._published if known == mid), "")
        if topic and (code.is_failure or code.value == _NOBODY):
            self._told_refused(topic, str(code))

    def _connected(
        self, _c: Client, _data: Any, flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._refuse(f"the broker refuses the login ({code}); check --username, the password, --protocol")
            return
        if self._ready.is_set():
            self._tell("connected again")
            if not flags.session_present:
                self._missed()
        self._client.subscribe([(topic, 1) for topic in (*self._topics, *self._wished)])

    def _subscribed(self, _c: Client, _d: Any, _m: int, codes: list[ReasonCode], _p: Any) -> None:
        denied = [topic for topic, code in zip(self._topics, codes, strict=False) if code.is_failure]
        if denied:
            self._refuse(f"the broker refuses to let us read {', '.join(denied)}; check its ACL")
        self._ready.set()

    def _refuse(self, why: str) -> None:
        if self._ready.is_set():
            self._tell(why)  # later it may be different again: paho goes on trying
        else:
            self._refused = why
            self._ready.set()

    def _gone(self, _c: Client, _d: Any, _f: Any, code: ReasonCode, _p: Any) -> None:
        if code.is_failure and not self._refused:
            self._tell(f"connection lost ({code})")

    def _message(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            self._hear(message.topic, bytes(message.payload))
        except Exception as error:  # noqa: BLE001 - it would end paho's thread unseen; close() raises it
            self._bug = self._bug or error
            return
        client.ack(message.mid, message.qos)


def _properties(packet: int, *, kept_s: int) -> Properties:
    made: Properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    made.SessionExpiryInterval = kept_s
    return made
