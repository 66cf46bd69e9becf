"""Limit the events that people are told of: nothing twice, and little of what comes and goes."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edge_agent.clock import Clock
from edge_agent.event import Event

MOST = 6
"""Events of one device, or of one of its alarms, in an hour."""

_HOUR_MS = 3_600_000
_AVAILABILITY = frozenset({"online", "late", "offline"})
_LASTING = _AVAILABILITY | {"alarm", "alarm_cleared"}


@dataclass(slots=True)
class _Source:
    """What one device, or one of its alarms, has told in the last hour, and what of it waits."""

    told_ms: deque[int] = field(default_factory=lambda: deque(maxlen=MOST))
    waiting: Event | None = None
    left_out: int = 0
    timer: asyncio.TimerHandle | None = None


class EventLimiter:
    """Passes events on to ``keep``. What is too much for an hour waits: its latest is told when that is over.

    ``known`` is kept up: it says what was told last of each device's availability and of each alarm, also
    before this run.
    """

    def __init__(self, clock: Clock, keep: Callable[[Event], None], known: dict[str, str]) -> None:
        self._clock, self._keep, self._known = clock, keep, known
        self._sources: dict[str, _Source] = {}

    def tell(self, event: Event) -> None:
        """Take an event. A device that does as was told last is no news."""
        source = self._sources.setdefault(event.about, _Source())
        if source.waiting is not None:
            source.left_out += 1
            source.waiting = event
            return
        if event.kind in _AVAILABILITY and self._known.get(event.device) == event.kind:
            return
        now = self._clock.mono_ms()
        if len(source.told_ms) < MOST or now - source.told_ms[0] >= _HOUR_MS:
            self._pass(source, event)
            return
        source.waiting = event
        pause_s = (_HOUR_MS - (now - source.told_ms[0])) / 1000
        source.timer = asyncio.get_running_loop().call_later(pause_s, self._late, source)

    def stands(self, event: Event) -> None:
        """Take how an alarm stands at a start. It is news where it waited when the last run was killed."""
        source = self._sources.get(event.about)
        waits = source is not None and source.waiting is not None
        if not waits and self._known.get(event.about, "alarm_cleared") != event.kind:
            self.tell(event)

    def forget(self, device: str) -> None:
        """A device is gone: what waits of it and of its alarms is not told any more."""
        for about in [about for about in self._sources if about.partition("/")[0] == device]:
            source = self._sources.pop(about)
            if source.timer is not None:
                source.timer.cancel()

    def _late(self, source: _Source) -> None:
        event, source.waiting = source.waiting, None
        assert event is not None
        if source.left_out:
            more = f"it came and went: {source.left_out} changes before this one were not told"
            event = replace(event, detail=f"{event.detail}; {more}" if event.detail else more)
            source.left_out = 0
        self._pass(source, event)

    def _pass(self, source: _Source, event: Event) -> None:
        source.told_ms.append(self._clock.mono_ms())
        if event.kind in _LASTING:
            self._known[event.about] = event.kind
        self._keep(event)

    def close(self) -> None:
        """End all timers. Alarms that wait are told now: after a restart they would be taken for told.

        What waits of availability is told anew after a restart, where it still holds.
        """
        for source in self._sources.values():
            if source.timer is not None:
                source.timer.cancel()
            if source.waiting is not None and source.waiting.alarm:
                self._late(source)
