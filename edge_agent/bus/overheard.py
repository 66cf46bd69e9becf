"""What was heard on a line and answered nobody: perhaps another master, who is answered too. No I/O."""

from collections import deque

from edge_agent.bus.framing import Framer
from edge_agent.driver import Cut, Garbled

_MOST_HELD = 1024  # bytes
_MEMORY = 10.0  # seconds; nobody waits longer for an answer


class Overheard:
    """The last bytes of others, with the loop's time at which they were heard."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._size = 0

    def add(self, piece: bytes, now: float) -> None:
        """Take note of bytes that answered nobody."""
        if not piece:
            return
        self._pieces.append((now, piece[-_MOST_HELD:]))
        self._size += len(self._pieces[-1][1])
        while self._size > _MOST_HELD or self._pieces[0][0] < now - _MEMORY:
            self._size -= len(self._pieces.popleft()[1])

    def answered_by(self, cut: Cut, within: float, now: float) -> float:
        """Return until when another master's question may be answered by what ``cut`` would take for ours.

        That is now, or earlier, where a cut finds no such question.
        """
        recent = [(at, piece) for at, piece in self._pieces if at + within > now]
        if recent and _asked(cut, b"".join(piece for _, piece in recent)):
            return recent[-1][0] + within
        return now


def _asked(cut: Cut, heard: bytes) -> bool:
    """Whether a cut finds another master's question to the same device in what was heard."""
    try:
        Framer(cut).feed(heard)
    except Garbled:
        return True
    return False
