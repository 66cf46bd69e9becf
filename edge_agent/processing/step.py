"""One reading through a device's plan: calibrate, judge, decide whether it is passed on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_agent.processing.plan import OnChange, Plan
from edge_agent.reading import Grade, Quality, Reading, Value

_NOT_A_NUMBER = Quality(Grade.BAD, "not_a_number")
_BELOW = Quality(Grade.SUSPECT, "below_plausible")
_ABOVE = Quality(Grade.SUSPECT, "above_plausible")


@dataclass(frozen=True, slots=True)
class Memory:
    """What was last passed on, per channel of the device. Without arguments: nothing yet."""

    passed_ms: int | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    quality: Mapping[str, Quality] = field(default_factory=dict)


def step(plan: Plan, memory: Memory, reading: Reading) -> tuple[Memory, Reading | None]:
    """Return the new memory, and the reading as it is to be kept; None where it tells nothing new.

    A value is calibrated first and judged then. A quality may be lowered here and is never raised.
    What is passed on has all channels that were reported, not only those that changed.
    """
    return pass_on(plan, memory, judged(plan, reading))


def judged(plan: Plan, reading: Reading) -> Reading:
    """Return a reading calibrated, and with the quality of what is not plausible."""
    if plan.curves:
        reading = _calibrated(plan, reading)
    return reading if _is_plain(plan, reading.values) else _judged(plan, reading)


def pass_on(
    plan: Plan, memory: Memory, reading: Reading, *, anyway: bool = False
) -> tuple[Memory, Reading | None]:
    """Decide whether a reading tells anything new. ``anyway``: it is passed on for another reason."""
    if plan.on_change is None:
        return memory, reading
    if not anyway and _tells_nothing(plan, plan.on_change, memory, reading):
        return memory, None
    return _remembered(plan, memory, reading), reading


def _calibrated(plan: Plan, reading: Reading) -> Reading:
    values = dict(reading.values)
    for name, curve in plan.curves.items():
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            values[name] = curve(value)
    return reading._replace(values=values)


def _is_plain(plan: Plan, values: Mapping[str, Any]) -> bool:
    """Say whether all channels have numbers within their bounds: the usual case, and quickly told."""
    try:
        for name, (low, high) in plan.bounds.items():
            if not low <= values[name] <= high:
                return False
    except (KeyError, TypeError):
        return False
    return True


def _judged(plan: Plan, reading: Reading) -> Reading:
    bounds = plan.bounds
    outside = None
    for name, value in reading.values.items():
        if isinstance(value, str) or name not in bounds:
            continue
        low, high = bounds[name]
        if not low <= value <= high:
            outside = [*(outside or ()), (name, value, low)]
    if outside is None:
        return reading
    values, quality = dict(reading.values), dict(reading.quality)
    for name, value, low in outside:
        if value - value != 0:  # NaN or an infinity
            del values[name]
            _lower(quality, name, _NOT_A_NUMBER)
        else:
            _lower(quality, name, _BELOW if value < low else _ABOVE)
    return reading._replace(values=values, quality=quality)


def _lower(quality: dict[str, Quality], name: str, found: Quality) -> None:
    before = quality.get(name)
    if before is None or (before.grade is Grade.SUSPECT and found.grade is Grade.BAD):
        quality[name] = found


def _tells_nothing(plan: Plan, rule: OnChange, memory: Memory, reading: Reading) -> bool:
    if memory.passed_ms is None or reading.mono_ms - memory.passed_ms >= rule.silence_ms:
        return False
    return not any(
        reading.quality.get(name) != memory.quality.get(name)
        or (name in reading.values and _differs(rule, name, memory.values.get(name), reading.values[name]))
        for name in reading.values.keys() | reading.quality.keys()
        if name in plan.bounds
    )


def _differs(rule: OnChange, name: str, before: Value | None, now: Value) -> bool:
    """Say whether a value differs enough from the one passed on before; a first one always does."""
    if before is None:
        return True
    if name in rule.states or isinstance(before, bool | str) or isinstance(now, bool | str):
        return now != before
    wanted = rule.numbers.get(name)
    if wanted is None:
        return False
    moved = abs(now - before)
    return moved > 0 and (moved >= wanted.change or moved >= wanted.share * abs(before))


def _remembered(plan: Plan, memory: Memory, reading: Reading) -> Memory:
    values, quality = dict(memory.values), dict(memory.quality)
    for name in plan.bounds.keys() & (reading.values.keys() | reading.quality.keys()):
        if name in reading.values:
            values[name] = reading.values[name]
        quality.pop(name, None)
        if name in reading.quality:
            quality[name] = reading.quality[name]
    return Memory(reading.mono_ms, values, quality)
