"""Answers that may still come, so that none is ever taken for the answer to another question. No I/O."""

import math
from collections.abc import Hashable
from dataclasses import dataclass

from edge_agent.driver import Cut, Frame, Garbled


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and how its answer is known. Seconds and baud, as in the contract's ``Line.exchange``."""

    request: bytes
    cut: Cut
    within: float
    speed: int | None = None
    answer_speed: int | None = None
    longest: int = 1024


@dataclass(frozen=True, slots=True)
class _Owed:
    """An answer that may come until then; ``again``: one of two to the same request."""

    exchange: Exchange
    until: float
    again: bool

    def may_be(self, frame: bytes) -> bool:
        try:
            found = self.exchange.cut(frame)
        except Garbled:
            return False
        return isinstance(found, Frame) and found.size == len(frame)


class PendingAnswers:
    """What each asker is owed. Times are those of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._owed: dict[Hashable, _Owed] = {}
        self._not_before: dict[Hashable, float] = {}

    def free_at(self, asker: Hashable, request: bytes) -> float:
        """Return when an asker may send a request.

        The same one as before may go at once, for then either answer is the answer to it; another one when
        nothing is owed any more.
        """
        owed = self._owed.get(asker)
        same = owed is None or owed.exchange.request == request
        return max(self._not_before.get(asker, -math.inf), -math.inf if same or owed is None else owed.until)

    def sent(self, asker: Hashable, exchange: Exchange, now: float, until: float) -> None:
        """A request goes out now; its answer may come until then."""
        earlier = self._owed.get(asker)
        again = earlier is not None and earlier.until > now
        self._owed[asker] = _Owed(exchange, until, again)
        self._not_before.pop(asker, None)

    def answered(self, asker: Hashable) -> None:
        """The answer came. Where the request went out twice, there may be one more."""
        if not self._owed[asker].again:
            del self._owed[asker]

    def claimed(self, asker: Hashable, frame: bytes, now: float) -> bool:
        """Whether a frame that an asker heard could be what another one is owed.

        If so, it should send its request again, which it may when nobody else can claim the answer.
        """
        claims = [
            owed.until
            for other, owed in self._owed.items()
            if other != asker and owed.until > now and owed.may_be(frame)
        ]
        if claims:
            self._not_before[asker] = max(claims)
        return bool(claims)

    def forget(self, now: float) -> None:
        """Strike out what can come no more."""
        for asker in [asker for asker, owed in self._owed.items() if owed.until <= now]:
            del self._owed[asker]
