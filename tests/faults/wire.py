"""MQTT control packets as they stand on the wire: cut from a stream, taken apart, put together.

"MQTT Version 5.0" (OASIS, 2019), sections 1.5 and 2; 3.1.1 differs only by having no properties.
"""

import asyncio

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = (
    1, 2, 3, 4, 8, 9, 12, 13, 14,
)  # fmt: skip


async def packet(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Read one packet: its first byte, its body, and all of it as it came.

    Raises:
        asyncio.IncompleteReadError: the stream ended.
    """
    raw = bytearray(await reader.readexactly(1))
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        raw.append(byte)
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    body = await reader.readexactly(length)
    return raw[0], body, bytes(raw) + body


def number(value: int) -> bytes:
    """Return a variable byte integer."""
    made = bytearray()
    while True:
        value, low = divmod(value, 128)
        made.append(low | (0x80 if value else 0))
        if not value:
            return bytes(made)


def read_number(body: bytes, at: int) -> tuple[int, int]:
    """Return a variable byte integer and where it ends."""
    value = shift = 0
    while True:
        byte = body[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def made(first: int, body: bytes) -> bytes:
    """Return a whole packet."""
    return bytes([first]) + number(len(body)) + body


def text(value: str) -> bytes:
    """Return a string with its length before it."""
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def read_text(body: bytes, at: int) -> tuple[str, int]:
    """Return a string and where it ends."""
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    return body[at + 2 : end].decode(), end
