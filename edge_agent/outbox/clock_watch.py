"""What is learned of the wall clock, until it is written."""

import logging

from edge_agent.clock import Clock
from edge_agent.outbox.timeline import Timeline

log = logging.getLogger(__name__)


class ClockWatch:
    """Compares the clocks for one timeline, and tells when the time becomes known, or is not."""

    def __init__(self, timeline: Timeline, clock: Clock) -> None:
        self._timeline, self._clock = timeline, clock
        self._pieces: list[tuple[int, int]] = []  # clock offsets to be written
        self._timeless = False  # and was told

    def learn(self) -> None:
        """Look whether the clock is known, or has stepped; a new offset is kept with the next commit."""
        mono_ms, wall_ms = self._clock.mono_ms(), self._clock.wall_ms()
        piece = self._timeline.learn(mono_ms, wall_ms, trusted=self._clock.trusted())
        if piece is not None:
            self._pieces.append(piece)
        if not self._timeline.known and not self._timeless:
            self._timeless = True
            log.warning("clock: not known to be right; readings get their time once it is (clock.trust)")
        elif self._timeline.known and self._timeless:
            self._timeless = False
            log.info("clock: known now; readings of this boot get their time")

    def known(self) -> bool:
        """Say whether readings made now get a true time; look at the clocks while they do not."""
        if not self._timeline.known:
            self.learn()
        return self._timeline.known

    def take(self) -> list[tuple[int, int]]:
        """Look, and return the new offsets: from_mono and offset in ms."""
        self.learn()
        pieces, self._pieces = self._pieces, []
        return pieces
