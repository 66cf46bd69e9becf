"""A broker that misbehaves by script: what a real one does rarely, on demand."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.faults import wire

NO_ACK = None
TAKEN = 0x00
Verdict = Callable[["Published"], int | None]


@dataclass(frozen=True, slots=True)
class Published:
    """A message that came: on which connection, as which of it, under which packet id."""

    connection: int
    number: int
    topic: str
    id: int
    qos: int
    payload: bytes


def take(_message: Published) -> int | None:
    """Acknowledge everything."""
    return TAKEN


@dataclass(slots=True)
class Behaviour:
    """What the stub does. ``verdict`` gives a PUBACK's reason code, or None for no PUBACK at all.

    ``connack``: code of the answer to CONNECT, in the version that was asked for. ``versions``: the protocol
    levels it knows (5, and 4 for 3.1.1); another is refused as the standard says, or, with ``mute``, by
    closing without a word. ``kick``: close straight after CONNACK, with a DISCONNECT that says ``goodbye``
    where that is not 0. ``echo``: pass messages on ``status``
    back to the sender, as a subscription would. ``burst``: packets that follow each SUBACK at once;
    ``granted``: its code.
    """

    verdict: Verdict = take
    connack: int = 0
    versions: tuple[int, ...] = (5, 4)
    mute: bool = False
    kick: bool = False
    goodbye: int = 0
    echo: bool = False
    burst: bytes = b""
    granted: int = 1
    receive_maximum: int | None = None
    maximum_packet: int | None = None


@dataclass(slots=True)
class Heard:
    """What came. ``connects``: loop time, protocol level, client id. ``most_unacked``: at one time."""

    connects: list[tuple[float, int, str]] = field(default_factory=list)
    messages: list[Published] = field(default_factory=list)
    most_unacked: int = 0
    largest: int = 0  # bytes of a PUBLISH


class Stub:
    """Listens on ``port`` of loopback, with TLS where wanted; ``behaviour`` may be changed at any time."""

    def __init__(self, behaviour: Behaviour | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self._tls = tls
        self.heard = Heard()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._talk(reader, writer)
        finally:
            self._links.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, body, _ = await wire.packet(reader)
        assert first >> 4 == wire.CONNECT
        level, client = _connect(body)
        self.heard.connects.append((asyncio.get_running_loop().time(), level, client))
        if not self._answered(level, writer):
            await writer.drain()
            return
        await writer.drain()
        connection, count, unacked = len(self.heard.connects), 0, 0
        while True:
            first, body, raw = await wire.packet(reader)
            match first >> 4:
                case wire.PUBLISH:
                    count += 1
                    message = _published(first, body, level, connection, count)
                    self.heard.messages.append(message)
                    self.heard.largest = max(self.heard.largest, len(raw))
                    if message.qos:
                        unacked += 1
                        self.heard.most_unacked = max(self.heard.most_unacked, unacked)
                        code = self.behaviour.verdict(message)
                        if code is not None:
                            unacked -= 1
                            writer.write(_puback(message.id, code, level))
                    if self.behaviour.echo and message.topic.endswith("/status"):
                        writer.write(wire.made(wire.PUBLISH << 4, wire.text(message.topic) + message.payload))
                case wire.SUBSCRIBE:
                    granted = body[:2] + (b"\0" if level == 5 else b"") + bytes([self.behaviour.granted])
                    writer.write(wire.made(wire.SUBACK << 4, granted) + self.behaviour.burst)
                case wire.PINGREQ:
                    writer.write(wire.made(wire.PINGRESP << 4, b""))
                case wire.DISCONNECT:
                    return
            await writer.drain()

    def _answered(self, level: int, writer: asyncio.StreamWriter) -> bool:
        """Answer CONNECT; return whether the connection goes on."""
        does = self.behaviour
        if level not in does.versions:
            if not does.mute:
                code = 0x84 if level == 5 and 5 in does.versions else 0x01
                writer.write(wire.made(wire.CONNACK << 4, bytes([0, code])))
            return False
        properties = b""
        if does.receive_maximum is not None:
            properties += b"\x21" + does.receive_maximum.to_bytes(2, "big")
        if does.maximum_packet is not None:
            properties += b"\x27" + does.maximum_packet.to_bytes(4, "big")
        tail = wire.number(len(properties)) + properties if level == 5 else b""
        writer.write(wire.made(wire.CONNACK << 4, bytes([0, does.connack]) + tail))
        if does.kick and does.goodbye:
            writer.write(wire.made(wire.DISCONNECT << 4, bytes([does.goodbye])))
        return does.connack == 0 and not does.kick


def _connect(body: bytes) -> tuple[int, str]:
    _, at = wire.read_text(body, 0)
    level = body[at]
    at += 4  # level, flags, keep alive
    if level == 5:
        length, at = wire.read_number(body, at)
        at += length
    return level, wire.read_text(body, at)[0]


def _published(first: int, body: bytes, level: int, connection: int, number: int) -> Published:
    qos = first >> 1 & 3
    topic, at = wire.read_text(body, 0)
    id_ = 0
    if qos:
        id_ = int.from_bytes(body[at : at + 2], "big")
        at += 2
    if level == 5:
        length, at = wire.read_number(body, at)
        at += length
    return Published(connection, number, topic, id_, qos, body[at:])


def _puback(id_: int, code: int, level: int) -> bytes:
    return wire.made(
        wire.PUBACK << 4, id_.to_bytes(2, "big") + (bytes([code]) if level == 5 and code else b"")
    )
