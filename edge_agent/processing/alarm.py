"""Limits, and whether values are beyond them. Pure.

What a device says counts, and nothing else: a value that is not known, and a device that is silent, neither
raise an alarm nor clear one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.reading import Reading, Value


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a channel, under its name in the configuration. ``above`` or ``below``, or ``equals``."""

    channel: str
    name: str
    above: float | None
    below: float | None
    equals: Value | None
    hysteresis: float
    delay_ms: int
    unit: str = ""

    @property
    def key(self) -> str:
        """What tells it from a device's other limits."""
        return f"{self.channel}.{self.name}"


@dataclass(frozen=True, slots=True)
class Beyond:
    """A value is beyond a limit: ``raised``, or since ``since_ms`` and still within the delay."""

    raised: bool
    since_ms: int
    value: Value


class Change(NamedTuple):
    """An alarm was raised, or cleared, by this value."""

    limit: Limit
    raised: bool
    value: Value


Standing = Mapping[str, Beyond]
"""By a limit's key; a limit that no value is beyond is not in it."""


def judge(limits: tuple[Limit, ...], standing: Standing, reading: Reading) -> tuple[Standing, list[Change]]:
    """Return how the limits stand after a reading, and what changed with it."""
    after, changes = dict(standing), []
    for limit in limits:
        value = reading.values.get(limit.channel)
        if value is None:
            continue
        before = standing.get(limit.key)
        if before is not None and before.raised:
            if _is_back(limit, value):
                del after[limit.key]
                changes.append(Change(limit, raised=False, value=value))
        elif not _is_beyond(limit, value):
            after.pop(limit.key, None)
        else:
            since = reading.mono_ms if before is None else before.since_ms
            raised = reading.mono_ms - since >= limit.delay_ms
            after[limit.key] = Beyond(raised, since, value)
            if raised:
                changes.append(Change(limit, raised=True, value=value))
    return after, changes


def same_again(limits: tuple[Limit, ...], standing: Standing, now_ms: int) -> tuple[Standing, list[Change]]:
    """Judge once more what was said last, by a device that was heard and says nothing new."""
    due = {
        limit.channel: beyond.value
        for limit in limits
        if (beyond := standing.get(limit.key)) is not None
        and not beyond.raised
        and now_ms - beyond.since_ms >= limit.delay_ms
    }
    return judge(limits, standing, Reading("", now_ms, due)) if due else (standing, [])


def raised_only(standing: Standing) -> Standing:
    """Forget what was only beyond a limit: a device fell silent, and nobody knows whether it stayed so."""
    return {key: beyond for key, beyond in standing.items() if beyond.raised}


def detail_of(change: Change) -> str:
    """Say in words what an alarm, or its end, is about."""
    limit, value = change.limit, change.value
    if limit.equals is not None:
        said, beyond = _state(value), f"{_state(limit.equals)}"
        held = f" for {limit.delay_ms / 1000:g} s" if change.raised and limit.delay_ms else ""
        return (
            f"{limit.channel} is {said}{held}"
            if change.raised
            else f"{limit.channel} is not {beyond} any more"
        )
    edge, word = (limit.above, "above") if limit.above is not None else (limit.below, "below")
    unit = f" {limit.unit}" if limit.unit not in {"", "1"} else ""
    held = f" for {limit.delay_ms / 1000:g} s" if change.raised and limit.delay_ms else ""
    now = "is" if change.raised else "is not"
    end = held if change.raised else " any more"
    return f"{limit.channel} {value:.10g}{unit} {now} {word} {edge:.10g}{unit}{end}"


def _state(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_beyond(limit: Limit, value: Value) -> bool:
    if limit.equals is not None:
        return value == limit.equals
    if isinstance(value, str):
        return False
    if limit.above is not None:
        return value > limit.above
    return limit.below is not None and value < limit.below


def _is_back(limit: Limit, value: Value) -> bool:
    if limit.equals is not None or isinstance(value, str):
        return value != limit.equals
    if limit.above is not None:
        return value <= limit.above - limit.hysteresis
    return limit.below is None or value >= limit.below + limit.hysteresis
