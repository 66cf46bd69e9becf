"""Limits events: none is reported twice, and a flapping device or alarm at most a few times an hour."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edge_agent.clock import Clock
from edge_agent.event import Event

MOST = 6
"""Events an hour of one device, or of one of its alarms."""

_HOUR_MS = 3_600_000
_AVAILABILITY = frozenset({"online", "late", "offline"})
_LASTING = _AVAILABILITY | {"alarm", "alarm_cleared"}


@dataclass(slots=True)
class _Source:
    """What one device, or one of its alarms, has reported in the last hour, and the event that waits."""

    told_ms: deque[int] = field(default_factory=lambda: deque(maxlen=MOST))
    waiting: Event | None = None
    left_out: int = 0
    timer: asyncio.TimerHandle | None = None


class EventLimiter:
    """Passes events on to ``keep``. Beyond the limit only the latest waits, and is passed on after the hour.

    ``known`` is updated in place: the last reported availability of each device, and the last reported
    state of each alarm, including those from before this start.
    """

    def __init__(self, clock: Clock, keep: Callable[[Event], None], known: dict[str, str]) -> None:
        self._clock, self._keep, self._known = clock, keep, known
        self._sources: dict[str, _Source] = {}

    def tell(self, event: Event) -> None:
        """Report an event; an availability that was reported last already is dropped."""
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
        """Report an alarm's state at the start, if it differs from the last one reported.

        It differs if the event still waited when the agent was last killed.
        """
        source = self._sources.get(event.about)
        waits = source is not None and source.waiting is not None
        if not waits and self._known.get(event.about, "alarm_cleared") != event.kind:
            self.tell(event)

    def forget(self, device: str) -> None:
        """Drop what waits of a device that was removed, and of its alarms."""
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
        """Cancel all timers, and report the alarms that wait: the next start takes them for reported.

        An availability that waits is reported by the next start, if it still holds.
        """
        for source in self._sources.values():
            if source.timer is not None:
                source.timer.cancel()
            if source.waiting is not None and source.waiting.alarm:
                self._late(source)
