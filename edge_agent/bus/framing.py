"""Cutting a stream of bytes into frames. No I/O."""

from edge_agent.driver import Cut, Frame, Need, Skip

_FIRST_LOOK = 64  # bytes shown to a cut at first; so long garbage costs time in proportion to its length


class Framer:
    """Collects bytes and hands out whole frames, as a driver's ``cut`` finds them.

    Fewer than ``limit`` bytes are held between two calls. ``skipped`` counts the bytes that were in no frame.
    """

    def __init__(self, cut: Cut, limit: int = 4096) -> None:
        self.skipped = 0
        self._cut, self._limit = cut, limit
        self._held = bytearray()
        self._need = 1

    @property
    def missing(self) -> int:
        """How many more bytes are needed, at least, before there is anything to tell."""
        return max(1, self._need - len(self._held))

    def clear(self) -> None:
        """Forget the bytes that are held."""
        self._held.clear()
        self._need = 1

    def feed(self, data: bytes) -> list[bytes]:
        """Take more bytes of the stream and return the frames that are whole now."""
        self._held += data
        frames = []
        at = 0
        while len(self._held) - at >= self._need:
            move, seen = self._look(at)
            match move:
                case Frame(size) if 0 < size <= seen:
                    frames.append(bytes(self._held[at : at + size]))
                    at += size
                case Need(size) if seen < size <= self._limit:
                    self._need = size
                    continue
                case Skip(size) if size > 0:
                    at += min(size, seen)
                    self.skipped += min(size, seen)
                case _:  # a frame larger than the limit, or a cut that is stuck: look again one byte on
                    at += 1
                    self.skipped += 1
            self._need = 1
        del self._held[:at]
        return frames

    def _look(self, at: int) -> tuple[Frame | Need | Skip, int]:
        """Ask the cut about the bytes from ``at`` on, and return its word and how many bytes it saw.

        It sees few bytes at first, and twice as many each time it needs more.
        """
        there = min(len(self._held) - at, self._limit)
        seen = min(there, max(self._need, _FIRST_LOOK))
        while True:
            move = self._cut(bytes(self._held[at : at + seen]))
            wants_more = isinstance(move, Need) and seen < move.size <= there
            if not wants_more:
                return move, seen
            seen = min(there, max(move.size, 2 * seen))
