"""The frames that Hi-Link's radars share: reports, and commands with their acknowledgements.

HLK-LD2410C serial protocol V1.00 (2022-11-7), 2.1 and 2.3. All numbers are little-endian:

    F4 F3 F2 F1 | length, 2 | report  | F8 F7 F6 F5
    FD FC FB FA | length, 2 | command | 04 03 02 01

There is no checksum, so every fixed byte is verified.
"""

from edge_agent.driver import Frame, Garbled, Need, NotMine, Skip

REPORT, CONFIGURATION = bytes.fromhex("F4F3F2F1"), bytes.fromhex("FDFCFBFA")
FOOTERS = {REPORT: bytes.fromhex("F8F7F6F5"), CONFIGURATION: bytes.fromhex("04030201")}
HEAD, FOOT = 6, 4  # header and length; footer
_LONGEST = 64  # bytes between them; the longest known, an LD2412's engineering report, has 43


def report(frame: bytes) -> bytes:
    """Return what a report has inside; header, length and footer are verified.

    Raises:
        NotMine: it is a command or an acknowledgement.
        Garbled: it is no frame.
    """
    header = frame[:4]
    footer = FOOTERS.get(header)
    if footer is None:
        raise Garbled(f"begins with {header.hex(' ') or 'nothing'}, not with a header")
    if len(frame) < HEAD + FOOT:
        raise Garbled(f"{len(frame)} bytes, too short for a frame")
    told = int.from_bytes(frame[4:HEAD], "little")
    if told != len(frame) - HEAD - FOOT:
        raise Garbled(f"{len(frame) - HEAD - FOOT} bytes inside, its length says {told}")
    if frame[-FOOT:] != footer:
        raise Garbled(f"ends with {frame[-FOOT:].hex(' ')}, expected {footer.hex(' ')}")
    if header == CONFIGURATION:
        raise NotMine("a command or its acknowledgement, not a report")
    return frame[HEAD:-FOOT]


def cut(heard: bytes) -> Frame | Need | Skip:
    """Find a report, a command or an acknowledgement in the bytes so far.

    The footer belongs to the framing: with no checksum it is all that tells a frame from a header
    that stands in noise, and a frame with a wrong length from the good ones behind it.
    """
    start = beginning(heard, tuple(FOOTERS))
    if start:
        return Skip(start)
    if len(heard) < HEAD:
        return Need(HEAD)
    length = int.from_bytes(heard[4:HEAD], "little")
    size = HEAD + length + FOOT
    if length > _LONGEST:
        return Skip(1)
    if len(heard) < size:
        return Need(size)
    return Frame(size) if heard[size - FOOT : size] == FOOTERS[heard[:4]] else Skip(1)


def beginning(heard: bytes, headers: tuple[bytes, ...]) -> int:
    """Return where one of these headers begins, or may begin with what is still to come."""
    words = (heard[at : at + 4] for at in range(len(heard)))
    return next(
        (at for at, word in enumerate(words) if any(header.startswith(word) for header in headers)),
        len(heard),
    )
