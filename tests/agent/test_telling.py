"""What is told: nothing twice, and of what comes and goes, little, with the last of it at the end."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.event import Event
from edge_agent.telling import MOST, Telling

_HOUR_MS = 3_600_000


class _Clock:
    boot_id = "boot"

    def __init__(self) -> None:
        self.now = 5_000_000

    def mono_ms(self) -> int:
        return self.now

    def wall_ms(self) -> int:
        return self.now

    def trusted(self) -> bool:
        return True


class _Timers:
    """The loop's, for a test: what is due in an hour is called when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.due: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", self._call_later)
        self._loop = loop

    def _call_later(self, delay: float, call: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        self.due.append((delay, call, args))
        return asyncio.TimerHandle(self._loop.time() + delay, call, args, self._loop)


async def test_what_is_known_is_no_news() -> None:
    told: list[Event] = []
    known = {"d1": "online"}
    telling = Telling(_Clock(), told.append, known)
    for kind in ("online", "late", "late", "offline", "online"):
        telling.tell(Event(kind, "d1", 1))
    assert [event.kind for event in told] == ["late", "offline", "online"]
    assert known == {"d1": "online"}
    telling.tell(Event("restarted", "gateway", 1))
    telling.tell(Event("restarted", "gateway", 2))
    assert len(told) == 5


async def test_a_flapping_device_tells_little_and_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told, timers = _Clock(), list[Event](), _Timers(monkeypatch)
    telling = Telling(clock, told.append, {})
    for n in range(1000):
        clock.now += 1000
        telling.tell(Event("late" if n % 2 else "online", "d1", clock.now))
        telling.tell(Event("alarm", "d1", clock.now, channel="power", alarm=f"limit{n % 2}"))
    assert len(told) == 3 * MOST
    assert len(timers.due) == 3, "one timer for each that waits"
    telling.tell(Event("online", "d2", clock.now))
    assert told[-1].device == "d2", "nobody else waits"
    clock.now += _HOUR_MS
    for delay, call, args in timers.due:
        assert 0 < delay <= _HOUR_MS / 1000
        call(*args)
    last = next(event for event in told[3 * MOST + 1 :] if not event.alarm)
    assert (last.kind, last.mono_ms) == ("late", clock.now - _HOUR_MS), "the latest, with its own time"
    assert f"{1000 - MOST - 1} changes" in last.detail
    telling.tell(Event("online", "d1", clock.now))
    assert told[-1].kind == "online"
    telling.close()
