"""Messages on ``history/`` that are packed with gzip, where an uplink was told to. Pure.

MQTT 5 says so in the user property ``content-encoding``, and the payload by itself: it begins with the two
bytes of gzip (RFC 1952, 2.3.1), with which no JSON begins. So nothing is lost where properties are dropped.
"""

import zlib
from typing import Literal

ENCODING: Literal["gzip"] = "gzip"
MOST_BYTES = 1024 * 1024
"""Of an unpacked message; a gateway's have 64 KiB at most."""

_GZIP = b"\x1f\x8b"
_LEVEL = 6
_WBITS_GZIP = 31


def pack(payload: bytes) -> bytes:
    """Return a payload packed."""
    return zlib.compress(payload, _LEVEL, _WBITS_GZIP)


def unpack(payload: bytes) -> bytes:
    """Return a payload as it was before it was packed, if it was.

    Raises:
        ValueError: it is broken, or larger than any message of a gateway's.
    """
    if not payload.startswith(_GZIP):
        return payload
    unpacking = zlib.decompressobj(_WBITS_GZIP)
    try:
        made = unpacking.decompress(payload, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"is packed and broken ({error})") from None
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("is packed and broken, or too large")
    return made
