"""The last frames of one device, for whoever stands at its cabinet: always kept, few, and each cut short.

What failed stays when what went well has pushed it out: that is what somebody wants to see afterwards.
"""

import time
from collections import deque
from typing import NamedTuple

from edge_agent.driver import Advertisement

LAST, FAILED = 20, 4
"""How many are kept of all, and of those that failed."""
LONGEST = 300
"""Bytes of a frame that are kept."""


class Exchanged(NamedTuple):
    """A question and what was heard then, or what was said unasked: then ``sent`` is empty.

    ``at`` is monotonic, in seconds. ``sent`` is the UUID of a characteristic where that is what was asked
    for. ``size`` are the bytes of the longer one before it was cut; ``fault`` is "" where it went well.
    """

    at: float
    sent: bytes | str
    heard: bytes | Advertisement
    size: int
    fault: str


class RecentFrames:
    """What passed between a bus and one device. Adding takes less than a microsecond."""

    def __init__(self) -> None:
        self._last: deque[Exchanged] = deque(maxlen=LAST)
        self._failed: deque[Exchanged] = deque(maxlen=FAILED)

    def add(self, sent: bytes | str, heard: bytes | Advertisement, fault: str = "") -> None:
        """Take note of an exchange that is over, or of what was said unasked."""
        size = 0
        if len(sent) > LONGEST:
            size, sent = len(sent), sent[:LONGEST]
        if isinstance(heard, bytes) and len(heard) > LONGEST:
            size, heard = max(size, len(heard)), heard[:LONGEST]
        made = Exchanged(time.monotonic(), sent, heard, size, fault)
        self._last.append(made)
        if fault:
            self._failed.append(made)

    def failed(self, fault: str) -> None:
        """Take note that the last one, which looked well on the bus, says nothing good."""
        if self._last and not self._last[-1].fault:
            made = self._last[-1] = self._last[-1]._replace(fault=fault)
            self._failed.append(made)

    def since(self, at: float) -> bool:
        """Say whether anything was noted since a monotonic time, in seconds."""
        return bool(self._last) and self._last[-1].at >= at

    def all(self) -> list[Exchanged]:
        """Return them, the newest first."""
        older = [one for one in self._failed if one not in self._last]
        return [*older, *self._last][::-1]
