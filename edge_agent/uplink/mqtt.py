"""One connection to a broker, on the event loop. With ``properties``, the only door to paho.

A session is made for one connection and thrown away with it, so that nothing paho remembers can be sent
behind our back: the outbox knows what is owed. paho runs without its thread: the loop watches the socket.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.settings.field_types import Server
from edge_agent.settings.uplink import Uplink
from edge_agent.uplink import properties, tls
from edge_agent.uplink.message import Incoming, Outgoing
from edge_agent.uplink.off_loop import off_loop
from edge_agent.uplink.refusals import NOBODY, Refusal
from edge_agent.uplink.session_error import SessionError, closed, refused
from edge_agent.uplink.tcp_info import TcpProgress, progress, prompt

Protocol = Literal["5", "3.1.1"]

_CONNECT_S = 10.0  # for TCP, and again for the broker's CONNACK
_CONNECT_MOST_S = 60.0  # with name service, and every address that a name has
_PING_LATE_S = 0.05  # a ping comes this long after its time; the broker waits half a keep-alive
_MOST_UNTAKEN = 20  # commands; the broker keeps the others
_RECEIVE_MAXIMUM_DEFAULT = 65_535  # MQTT 5.0, 3.2.2.3.3


@dataclass(frozen=True, slots=True)
class Connected:
    """What the broker said at the beginning. Sizes in bytes; None: no limit."""

    session_present: bool
    receive_maximum: int
    maximum_packet: int | None


class Session:
    """One connection. What it hears it tells on the event loop.

    ``on_ack(mid, refusal)``: a message was taken (None), or refused. ``on_denied(topic, why)``: we may
    not hear a topic. ``on_closed(reason)``: the connection ended, and not by us.
    """

    def __init__(self, settings: Uplink, protocol: Protocol, will: Outgoing) -> None:
        self.on_ack: Callable[[int, Refusal | None], None] = lambda _mid, _refusal: None
        self.on_denied: Callable[[str, str], None] = lambda _topic, _why: None
        self._on_message: Callable[[Incoming], None] | None = None
        self._early: list[Incoming] = []
        self.on_closed: Callable[[str], None] = lambda _reason: None
        self._settings, self._protocol = settings, protocol
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[Connected] = self._loop.create_future()
        self._sock: socket.socket | None = None
        self._server: Server | None = None
        self._tls: tls.Context | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._said_at = self._heard_at = 0.0
        self._acks: list[tuple[int, Refusal | None]] = []
        self._closed = False
        self._asked: dict[int, str] = {}  # subscriptions that were not answered yet
        self._plain = properties.of_message(Outgoing("", b""))
        self._client = self._made(will)

    def _made(self, will: Outgoing) -> Client:
        five = self.five
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._settings.client_id,
            # only commands have to wait for us, and a session of RabbitMQ's is away when its node is
            clean_session=None if five else not self._settings.commands,
            protocol=MQTTv5 if five else MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = _CONNECT_S
        client.max_inflight_messages = 0  # the window is ours
        if self._settings.username is not None:
            secret = self._settings.password.get_secret_value() if self._settings.password else None
            client.username_pw_set(self._settings.username, secret)
        beside = properties.of_will(will) if five else None
        client.will_set(will.topic, will.payload, will.qos, will.retain, beside)
        client.on_connect = self._heard_connack
        client.on_publish = self._heard_ack
        client.on_subscribe = self._heard_suback
        client.on_message = self._heard_message
        client.on_disconnect = self._heard_end
        return client

    @property
    def five(self) -> bool:
        """Whether it speaks MQTT 5."""
        return self._protocol == "5"

    async def connect(self, server: Server) -> Connected:
        """Connect and wait for the broker's word.

        Raises:
            SessionError: no connection, or the broker refuses.
        """
        self._server = server
        if server.tls:
            try:
                self._tls = tls.context(self._settings)
                self._client.tls_set_context(self._tls)
            except OSError as error:
                raise SessionError(f"{server}: {error}") from None
        keepalive = int(self._settings.keepalive)
        beside = properties.of_connect(_MOST_UNTAKEN) if self.five else None
        # as bytes: for a text Python loads 0.7 MB of tables, which names in Unicode need
        host: Any = server.host.encode("ascii") if server.host.isascii() else server.host

        def connect() -> None:
            if beside is None:
                self._client.connect(host, server.port, keepalive)
            else:
                client = self._client
                client.connect(host, server.port, keepalive, clean_start=False, properties=beside)
            late = self._client.socket() if self._closed else None
            if late is not None:  # nobody waits for it any more
                late.close()

        try:
            async with asyncio.timeout(_CONNECT_MOST_S):
                await off_loop(connect)
        except (OSError, UnicodeError) as error:  # UnicodeError: from a name that cannot be one
            raise tls.no_connection(error, server) from None
        self._watch()
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await self._connected
        except TimeoutError:
            # amqtt never answers a CONNECT of MQTT 5
            reason = f"{server}: connected, but no MQTT answer in {_CONNECT_S:.0f} s; check the port"
            raise SessionError(reason, protocol=True) from None

    def _watch(self) -> None:
        sock = self._client.socket()
        if not isinstance(sock, socket.socket):  # closed again already; on_disconnect has told
            return
        self._sock = sock
        prompt(sock)
        self._client.on_socket_close = lambda *_: self._unwatch()
        self._client.on_socket_register_write = lambda *_: self._writable(sock)
        self._client.on_socket_unregister_write = lambda *_: self._written(sock)
        self._loop.add_reader(sock, self._readable)
        if self._client.want_write():
            self._writable(sock)
        self._said_at = self._heard_at = self._loop.time()
        self._wake_for_ping()

    def _writable(self, sock: socket.socket) -> None:
        self._loop.add_writer(sock, self._client.loop_write)

    def _written(self, sock: socket.socket) -> None:
        self._said_at = self._loop.time()
        self._loop.remove_writer(sock)

    def _unwatch(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _readable(self) -> None:
        try:
            self._client.loop_read()
            while isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
                self._client.loop_read()
        except Exception as error:  # noqa: BLE001 - paho raises whatever it meets in a packet that is none
            self._unwatch()
            self._ended(f"the broker sent what is not MQTT ({type(error).__name__})", protocol=False)
        self._heard_at = self._loop.time()

    def _wake_for_ping(self) -> None:
        """Let paho look at the time when a ping may be due, and not before: an idle agent sleeps."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        keepalive = self._client.keepalive  # the broker's, when it named one
        if self._sock is not None and keepalive:
            due = min(self._said_at, self._heard_at) + keepalive + _PING_LATE_S
            self._timer = self._loop.call_at(due, self._maybe_ping)

    def _maybe_ping(self) -> None:
        now = self._loop.time()
        if now - min(self._said_at, self._heard_at) >= self._client.keepalive:
            self._client.loop_misc()  # it pings; or it closes, when the last ping was not answered
            self._said_at = self._heard_at = now
        self._wake_for_ping()

    def publish(self, message: Outgoing) -> int:
        """Send a message, and return the number under which ``on_ack`` will name it.

        Raises:
            SessionError: the connection is gone.
        """
        beside = None
        if self.five:
            beside = self._plain if message.plain else properties.of_message(message)
        sent = self._client.publish(
            message.topic, message.payload, message.qos, message.retain,
            beside,  # type: ignore[arg-type]  # it only asks them to pack themselves
        )  # fmt: skip
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise SessionError(f"the connection is gone ({sent.rc.name})")
        return sent.mid

    def subscribe(self, topic: str, qos: Literal[0, 1] = 1) -> None:
        """Ask for a topic. Under MQTT 5 it is told of each message whether it is to be retained."""
        if self.five:
            _, mid = self._client.subscribe(topic, options=SubscribeOptions(qos=qos, retainAsPublished=True))
        else:
            _, mid = self._client.subscribe(topic, qos)
        if mid is not None:
            self._asked[mid] = topic

    def listen(self, on_message: Callable[[Incoming], None]) -> None:
        """Have messages told, also those that came already. Each is to be taken, or comes again later."""
        self._on_message = on_message
        early, self._early = self._early, []
        for message in early:
            on_message(message)

    def acknowledge(self, message: Incoming) -> None:
        """Acknowledge a message, so that it does not come again."""
        if message.mid and not self._closed:
            self._client.ack(message.mid, 1)

    def progress(self) -> TcpProgress:
        """Whether the path still carries anything."""
        return TcpProgress(0, 0) if self._sock is None else progress(self._sock)

    def close(self) -> None:
        """Say goodbye, so that the broker drops the will, and close."""
        self._closed = True
        if self._sock is not None:
            self._client.disconnect()
            self._client.loop_write()  # now: paho would wait for the loop to call it
        self.abandon()

    def abandon(self) -> None:
        """Close without goodbye: the broker will publish the will."""
        self._closed = True
        self._connected.cancel()
        sock = self._sock or self._client.socket()
        self._unwatch()
        self._client.on_socket_close = None
        self._client.on_socket_register_write = self._client.on_socket_unregister_write = None
        if sock is not None:
            sock.close()

    def _heard_connack(
        self,
        _client: Client,
        _data: Any,
        flags: ConnectFlags,
        code: ReasonCode,
        beside: Properties | None,
    ) -> None:
        if self._connected.done():
            return
        if code.is_failure:
            self._connected.set_exception(refused(str(code)))
            return
        self._wake_for_ping()
        self._connected.set_result(
            Connected(
                flags.session_present,
                getattr(beside, "ReceiveMaximum", _RECEIVE_MAXIMUM_DEFAULT),
                getattr(beside, "MaximumPacketSize", None),
            )
        )

    def _heard_suback(
        self, _c: Client, _data: Any, mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        topic = self._asked.pop(mid, "")
        for code in codes:
            if code.is_failure:
                self._loop.call_soon(self.on_denied, topic, str(code))

    def _heard_ack(
        self, _c: Client, _data: Any, mid: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        # Called under paho's lock: publishing from here would deadlock.
        if not self._acks:
            self._loop.call_soon(self._report_acks)
        held = code.value == NOBODY and self._settings.hold_without_subscriber
        self._acks.append((mid, Refusal(code.value, str(code)) if held or code.is_failure else None))

    def _report_acks(self) -> None:
        acks, self._acks = self._acks, []
        for mid, refusal in acks:
            self.on_ack(mid, refusal)

    def _heard_message(self, _c: Client, _data: Any, message: MQTTMessage) -> None:
        beside = message.properties
        heard = Incoming(
            message.topic,
            bytes(message.payload),
            message.retain,
            getattr(beside, "MessageExpiryInterval", None),
            getattr(beside, "ResponseTopic", None),
            getattr(beside, "CorrelationData", None),
            message.mid if message.qos else 0,
        )
        self._loop.call_soon(self._report_message, heard)

    def _report_message(self, message: Incoming) -> None:
        if self._on_message is None:
            self._early.append(message)
        else:
            self._on_message(message)

    def _heard_end(
        self,
        _client: Client,
        _data: Any,
        flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        said = (code.value, str(code)) if flags.is_disconnect_packet_from_server else None
        self._ended(closed(said, self._settings.client_id), protocol=True)

    def _ended(self, reason: str, *, protocol: bool) -> None:
        if not self._connected.done():
            early = SessionError(f"{reason} before it answered", protocol=protocol)
            refusal = self._tls.refusal if self._tls is not None else None
            self._connected.set_exception(early if refusal is None else tls.failed(refusal, self._server))
        elif not self._closed:
            self._loop.call_soon(self.on_closed, reason)
