"""What is told: nothing twice, and of what comes and goes, little, with the last of it at the end."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.event_limiter import MOST, EventLimiter
from edge_agent.event import Event, EventKind
from tests.outbox.world import FakeClock, ask, crash, opened

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
    limiter = EventLimiter(_Clock(), told.append, known)
    for kind in ("online", "late", "late", "offline", "online"):
        limiter.tell(Event(kind, "d1", 1))
    assert [event.kind for event in told] == ["late", "offline", "online"]
    assert known == {"d1": "online"}
    limiter.tell(Event("restarted", "gateway", 1))
    limiter.tell(Event("restarted", "gateway", 2))
    assert len(told) == 5


async def test_a_flapping_device_tells_little_and_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told, timers = _Clock(), list[Event](), _Timers(monkeypatch)
    limiter = EventLimiter(clock, told.append, {})
    for n in range(1000):
        clock.now += 1000
        limiter.tell(Event("late" if n % 2 else "online", "d1", clock.now))
        limiter.tell(Event("alarm", "d1", clock.now, channel="power", alarm=f"limit{n % 2}"))
    assert len(told) == 3 * MOST
    assert len(timers.due) == 3, "one timer for each that waits"
    limiter.tell(Event("online", "d2", clock.now))
    assert told[-1].device == "d2", "nobody else waits"
    clock.now += _HOUR_MS
    for delay, call, args in timers.due:
        assert 0 < delay <= _HOUR_MS / 1000
        call(*args)
    last = next(event for event in told[3 * MOST + 1 :] if not event.alarm)
    assert (last.kind, last.mono_ms) == ("late", clock.now - _HOUR_MS), "the latest, with its own time"
    assert f"{1000 - MOST - 1} changes" in last.detail
    limiter.tell(Event("online", "d1", clock.now))
    assert told[-1].kind == "online"
    limiter.close()


async def test_an_alarm_that_waited_when_the_agent_was_killed_is_told_at_the_next_start(
    tmp_path: Path,
) -> None:
    path, clock = tmp_path / "outbox.db", FakeClock()

    def alarm(kind: EventKind) -> Event:
        return Event(kind, "d1", clock.mono_ms(), channel="power", alarm="overload")

    async with opened(path, clock) as outbox:
        await outbox.events.enroll()
        limiter = EventLimiter(clock, outbox.events.tell, outbox.events.latest)
        for _ in range(MOST // 2):
            limiter.tell(alarm("alarm"))
            limiter.tell(alarm("alarm_cleared"))
        limiter.tell(alarm("alarm"))
        assert outbox.waiting == MOST, "this one waits"
        limiter.stands(alarm("alarm"))
        assert await outbox.flush()
        left = crash(path, tmp_path / "killed")
        limiter.forget("d1")  # and its timer
    for told in (1, 0):
        async with opened(left, clock) as outbox:
            await outbox.events.enroll()
            limiter = EventLimiter(clock, outbox.events.tell, outbox.events.latest)
            limiter.stands(alarm("alarm"))
            limiter.stands(Event("alarm_cleared", "d1", 1, channel="power", alarm="never-raised"))
            assert outbox.waiting == told
            assert outbox.events.latest == {"d1/power.overload": "alarm"}
            limiter.close()
    async with opened(left, clock) as outbox:
        await outbox.events.enroll()
        outbox.events.tell(Event("retired", "d1", 1), "city")
        assert not outbox.events.latest
    assert ask(left, "SELECT * FROM told") == []


async def test_what_waits_of_a_device_that_is_removed_is_never_told() -> None:
    told: list[Event] = []
    limiter = EventLimiter(_Clock(), told.append, {})
    for n in range(MOST + 1):
        for device in ("d1", "d10"):
            limiter.tell(
                Event("alarm_cleared" if n % 2 else "alarm", device, n, channel="power", alarm="over")
            )
    assert len(told) == 2 * MOST
    limiter.forget("d1")
    limiter.close()  # tells the alarms that wait
    assert [event.device for event in told[2 * MOST :]] == ["d10"]
