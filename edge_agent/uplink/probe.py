"""A short visit to a broker under a name of its own: may the gateway connect, write and read here?

A visit never touches the agent's session, has no will, and changes no retained message.
"""

import ssl
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Literal

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.settings.field_types import Server
from edge_agent.settings.uplink import Uplink
from edge_agent.uplink import tls
from edge_agent.uplink.session_error import SessionError, refused

Protocol = Literal["5", "3.1.1"]
Allowed = bool | None
"""None: the broker does not tell."""

_ANSWER_S = 5.0
_CONNECT_S = 10.0
_TURN_S = 0.2


class Visit:
    """One connection. Every question waits 5 s at most; ``heard`` is what came, by topic."""

    def __init__(self, settings: Uplink, server: Server, protocol: Protocol) -> None:
        self.server, self.protocol = server, protocol
        self.heard: dict[str, bytes] = {}
        self._settings = settings
        self._answer: ReasonCode | None = None
        self._acks: dict[int, bool] = {}
        self._client = self._made()
        self._open()

    def _made(self) -> Client:
        five = self.protocol == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"doctor-{uuid.uuid4().hex[:12]}",
            clean_session=None if five else True,
            protocol=MQTTv5 if five else MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_S
        if self._settings.username is not None:
            secret = self._settings.password.get_secret_value() if self._settings.password else None
            client.username_pw_set(self._settings.username, secret)
        client.on_connect, client.on_disconnect = self._connected, self._ended
        client.on_publish, client.on_subscribe = self._published, self._subscribed
        client.on_message = self._message
        return client

    def _open(self) -> None:
        if self.server.tls:
            try:
                self._client.tls_set_context(tls.context(self._settings))
            except OSError as error:
                raise SessionError(f"{self.server}: {error}", credentials=True) from None
        try:
            self._client.connect(self.server.host, self.server.port, keepalive=30)
        except (OSError, UnicodeError) as error:
            raise tls.no_connection(error, self.server) from None
        if not self._until(lambda: self._answer is not None, _CONNECT_S):
            self.close()
            raise SessionError(
                f"{self.server}: it closed, or is no MQTT broker; check the port", protocol=True
            )
        assert self._answer is not None
        if self._answer.is_failure:
            self.close()
            why = refused(str(self._answer))
            raise SessionError(
                f"{self.server}: {why}",
                protocol=why.protocol,
                certain=why.certain,
                credentials=why.credentials,
            )

    @property
    def peer(self) -> dict[str, Any] | None:
        """The broker's certificate, as ``ssl`` tells it; None without TLS."""
        sock = self._client.socket()
        return sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._until(lambda: not self._client.is_connected(), _TURN_S)
        if (sock := self._client.socket()) is not None:
            sock.close()

    def may_write(self, topic: str, payload: bytes = b"") -> Allowed:
        """Publish a message that is not retained. A broker that hangs up means no, too.

        Over MQTT 3.1.1 a broker cannot say no: only one that hangs up is understood.
        """
        self._again()
        sent = self._client.publish(topic, payload, qos=1)
        if not self._until(lambda: sent.mid in self._acks):
            return None if self._client.is_connected() else False
        told = self._acks[sent.mid]
        return told if self.protocol == "5" or not told else None

    def may_read(self, topic: str) -> bool:
        """Subscribe; say whether the broker grants that. One that only passes nothing on grants it, too."""
        self._again()
        _, mid = self._client.subscribe(topic, qos=1)
        return mid is not None and self._until(lambda: mid in self._acks) and self._acks[mid]

    def hears(self, topic: str, within: float = 0.5) -> bool:
        """Wait until a message comes on a topic."""
        return self._until(lambda: topic in self.heard, within)

    def listen(self, seconds: float) -> None:
        """Hear what comes in that time."""
        self._until(lambda: False, seconds)

    def _again(self) -> None:
        if not self._client.is_connected():
            self._answer = None
            self._client = self._made()
            self._open()

    def _until(self, holds: Callable[[], bool], within: float = _ANSWER_S) -> bool:
        limit = monotonic() + within
        while not holds() and (left := limit - monotonic()) > 0:
            if self._client.loop(min(left, _TURN_S)) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
        return holds()

    def _connected(
        self, _c: Client, _d: Any, _f: ConnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        self._answer = code

    def _ended(
        self, _c: Client, _d: Any, _f: DisconnectFlags, _code: ReasonCode, _p: Properties | None
    ) -> None:
        self._acks.clear()

    def _published(self, _c: Client, _d: Any, mid: int, code: ReasonCode, _p: Properties | None) -> None:
        self._acks[mid] = not code.is_failure

    def _subscribed(
        self, _c: Client, _d: Any, mid: int, codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._acks[mid] = not any(code.is_failure for code in codes)

    def _message(self, _c: Client, _d: Any, message: MQTTMessage) -> None:
        if len(self.heard) < 1000:  # noqa: PLR2004 - nobody needs more to know that it hears
            self.heard[message.topic] = bytes(message.payload)


@contextmanager
def visiting(settings: Uplink, server: Server) -> Iterator[Visit]:
    """Visit a server, with MQTT 5 where it speaks that and the uplink allows it.

    Raises:
        SessionError: no connection, or the broker refuses. The text says what to do.
    """
    try:
        visit = Visit(settings, server, "3.1.1" if settings.protocol == "3.1.1" else "5")
    except SessionError as error:
        if not error.protocol or settings.protocol != "auto":
            raise
        visit = Visit(settings, server, "3.1.1")
    try:
        yield visit
    finally:
        visit.close()
