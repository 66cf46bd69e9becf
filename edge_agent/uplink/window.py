"""How much may be on its way to the broker at once. Pure."""

MOST_MESSAGES = 20
LEAST_BYTES = 8 * 1024
MOST_BYTES = 1024 * 1024
_SLACK_S = 0.1  # a difference in latency below this is noise: a busy gateway itself takes that long


class Window:
    """Bytes and messages in flight, shared by live readings and backlog.

    It starts small, doubles when a window's worth came back without delay, and halves when the latency of
    PUBACKs doubles. The backlog gets at most half of it, and at most one second of the measured throughput,
    so that a live reading never waits long behind it, on a thin link too. Times are seconds, monotonic.
    """

    def __init__(self, receive_maximum: int) -> None:
        self.messages = max(1, min(MOST_MESSAGES, receive_maximum))
        self.limit = LEAST_BYTES
        self.in_flight = 0
        self._bytes = 0
        self._backlog_bytes = 0
        self._backlog_messages = 0
        self._clean_bytes = 0
        self._least_latency = float("inf")
        self._shrunk_at = 0.0
        self._rate = 0.0  # bytes a second, smoothed
        self._rate_bytes = 0
        self._rate_since = 0.0
        self._idle_since = 0.0

    @property
    def room(self) -> int:
        """How many bytes a live message may have now; 0: none may go."""
        return self._room(self.messages, self.limit)

    @property
    def backlog_room(self) -> int:
        """How many bytes a message of the backlog may have now; 0: none may go."""
        if self._backlog_messages and self._backlog_messages >= self.messages // 2:
            return 0
        share = self.limit // 2
        if self._rate:
            share = min(share, max(int(self._rate), LEAST_BYTES // 2))
        return min(self._room(self.messages, self.limit), max(0, share - self._backlog_bytes))

    def _room(self, messages: int, limit: int) -> int:
        return 0 if self.in_flight >= messages else max(0, limit - self._bytes)

    def sent(self, size: int, now: float, *, backlog: bool) -> None:
        """A message of this size is on its way."""
        if not self.in_flight:
            self._rate_since += now - self._idle_since  # a path that rests is not slow
        self.in_flight += 1
        self._bytes += size
        if backlog:
            self._backlog_bytes += size
            self._backlog_messages += 1

    def acked(self, size: int, latency: float, now: float, *, backlog: bool) -> None:
        """It came back after ``latency`` seconds."""
        self.in_flight -= 1
        self._bytes -= size
        if backlog:
            self._backlog_bytes -= size
            self._backlog_messages -= 1
        self._measure(size, now)
        self._idle_since = now
        if latency > 2 * self._least_latency + _SLACK_S:
            if now - self._shrunk_at > latency:  # once for all that were in flight together
                self.limit = max(LEAST_BYTES, self.limit // 2)
                self._shrunk_at = now
            self._clean_bytes = 0
            self._least_latency *= 1.01  # a path that has become slower for good is learnt
        else:
            self._least_latency = min(self._least_latency, latency)
            self._clean_bytes += size
            if self._clean_bytes >= self.limit:
                self.limit = min(MOST_BYTES, 2 * self.limit)
                self._clean_bytes = 0

    def _measure(self, size: int, now: float) -> None:
        self._rate_bytes += size
        span = now - self._rate_since
        if span >= 1.0:
            measured = self._rate_bytes / span
            self._rate = measured if not self._rate else 0.7 * self._rate + 0.3 * measured
            self._rate_since, self._rate_bytes = now, 0
