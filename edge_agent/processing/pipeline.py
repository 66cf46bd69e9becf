"""The way of a reading through the steps that remember: counters, limits, averages. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from edge_agent.processing.alarm import Beyond, Change, Limit, Standing, judge, raised_only, same_again
from edge_agent.processing.average import Window, add, ended
from edge_agent.processing.counter import Count, Counts, count
from edge_agent.processing.plan import Memorable, Plan
from edge_agent.processing.step import Memory, judged, pass_on
from edge_agent.reading import Reading


@dataclass(frozen=True, slots=True)
class PipelineState:
    """All that a device's steps remember. Counters and raised alarms outlive a restart, the rest does not."""

    passed: Memory = field(default_factory=Memory)
    counts: Counts = field(default_factory=dict)
    standing: Standing = field(default_factory=dict)
    window: Window | None = None


class Taken(NamedTuple):
    """What came of a reading. ``heard`` is what it says now; ``readings`` are to be kept, in this order."""

    state: PipelineState
    heard: Reading
    readings: Sequence[Reading]
    changes: Sequence[Change] = ()
    notes: Sequence[str] = ()


def take(plan: Plan, steps: Memorable, state: PipelineState, reading: Reading) -> Taken:
    """Take a reading through all steps. What changes an alarm is passed on, unless it is averaged."""
    counts, standing = state.counts, state.standing
    notes: list[str] = []
    changes: list[Change] = []
    if steps.counters:
        counts, reading, notes = count(steps.counters, counts, reading)
    reading = judged(plan, reading)
    if steps.limits:
        standing, changes = judge(steps.limits, standing, reading)
    if steps.average is not None:
        window, out = add(steps.average, state.window, reading)
        return Taken(PipelineState(state.passed, counts, standing, window), reading, out, changes, notes)
    passed, kept = pass_on(plan, state.passed, reading, anyway=bool(changes))
    out = [] if kept is None else [kept]
    return Taken(PipelineState(passed, counts, standing), reading, out, changes, notes)


def same(steps: Memorable, state: PipelineState, now_ms: int) -> tuple[PipelineState, list[Change]]:
    """Take note that the device was heard and says the same as before."""
    standing, changes = same_again(steps.limits, state.standing, now_ms)
    return (replace(state, standing=standing), changes) if changes else (state, [])


def silent(state: PipelineState) -> PipelineState:
    """Take note that the device is silent: what was only beyond a limit is not known to be so any more."""
    return replace(state, standing=raised_only(state.standing))


def cut(
    steps: Memorable, state: PipelineState, device: str, now_ms: int
) -> tuple[PipelineState, list[Reading]]:
    """End the open window now, before its time if need be."""
    if steps.average is None or state.window is None:
        return state, []
    window = state.window
    at = min(now_ms, window.end_ms)
    return replace(state, window=None), ended(steps.average, window, device, at)


def lasting(state: PipelineState) -> dict[str, Any]:
    """Return what outlives a restart, as JSON can hold it."""
    raised = sorted(key for key, beyond in state.standing.items() if beyond.raised)
    counts = {
        name: [one.last, one.added, one.earlier, one.fell] for name, one in sorted(state.counts.items())
    }
    return {"alarms": raised, "counters": counts}


def recalled(steps: Memorable, told: Mapping[str, Any]) -> tuple[PipelineState, list[str]]:
    """Begin with what an earlier run remembered; return also the alarms whose limits are gone."""
    limits: dict[str, Limit] = {limit.key: limit for limit in steps.limits}
    raised = told.get("alarms", [])
    counts = {
        name: Count(*numbers) for name, numbers in told.get("counters", {}).items() if name in steps.counters
    }
    standing = {key: Beyond(raised=True, since_ms=0, value=0) for key in raised if key in limits}
    return PipelineState(counts=counts, standing=standing), [key for key in raised if key not in limits]
