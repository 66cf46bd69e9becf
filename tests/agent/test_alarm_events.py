"""An alarm that comes and goes: what waits of it is told at a stop, since a restart takes it for told."""

from edge_agent.agent.event_limiter import MOST, EventLimiter
from edge_agent.clock import SystemClock
from edge_agent.event import Event, EventKind


async def test_what_waits_of_an_alarm_is_told_at_a_stop() -> None:
    told: list[Event] = []
    limiter = EventLimiter(SystemClock("always"), told.append, {})
    for number in range(MOST + 2):
        kind: EventKind = "alarm_cleared" if number % 2 else "alarm"
        limiter.tell(Event(kind, "meter-7", number, "", "power", "overload"))
    assert len(told) == MOST
    limiter.close()
    assert [event.mono_ms for event in told[MOST:]] == [MOST + 1], "how it ended"
    assert told[-1].kind == "alarm_cleared"
    assert "1 changes before this one were not told" in told[-1].detail


async def test_what_waits_of_availability_is_told_anew_after_a_restart() -> None:
    told: list[Event] = []
    limiter = EventLimiter(SystemClock("always"), told.append, {})
    for number in range(MOST + 1):
        limiter.tell(Event("late" if number % 2 else "online", "meter-7", number))
    limiter.close()
    assert len(told) == MOST
