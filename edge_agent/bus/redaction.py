"""What another master may have said on a line, without the passwords in it. Pure.

We send none. But what is heard in vain is shown to people, and somebody else's commands may be among it:
DL/T 645-2007, 7.1 and annex D (each command but to read carries a password or a key), IEC 62056-21:2002,
5.4 (the commands P1 and P2).
"""

import re

# Looks ahead, for what looks like a frame's head may end in the head of a real one.
_FRAME = re.compile(rb"(?=\x68[\x00-\xff]{6}\x68([\x00-\x3f])([\x00-\xff]))")
_READS = {0x01, 0x02, 0x11, 0x12, 0x13}  # of both editions
_PASSWORD = re.compile(rb"\x01[P][0-9]\x02\(?([^)\x03]*)")


def maybe_password(heard: bytes) -> list[bool]:
    """Say of each byte whether it may be of a password."""
    hidden = [False] * len(heard)
    for found in _FRAME.finditer(heard):
        if found[1][0] not in _READS:
            begin, end = found.end(2), min(found.end(2) + found[2][0], len(heard))
            hidden[begin:end] = [True] * (end - begin)
    for found in _PASSWORD.finditer(heard):
        hidden[found.start(1) : found.end(1)] = [True] * len(found[1])
    return hidden


def in_hex(heard: bytes) -> str:
    """Write bytes, in their place ``..`` where they may be of a password."""
    return " ".join(
        ".." if hide else f"{byte:02X}" for byte, hide in zip(heard, maybe_password(heard), strict=True)
    )
