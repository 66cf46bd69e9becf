"""A counter that goes on where the meter's own number falls: rolled over, replaced, or only misread. Pure.

A fall is believed once it has lasted for a minute and a second reading: a meter that starts anew often says 0
for a moment. Until then the value is not known. Nothing is estimated: what is added is the range, or what the
old meter had counted when it was read last. What flowed between that reading and the first of the new count
is in no reading, and in no total.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edge_agent.processing.rounding import rounded
from edge_agent.reading import Grade, Quality, Reading

CONFIRMED_MS = 60_000
_EDGE = 0.1  # a roll-over leads from the last tenth of the range to its first
_NOISE = (
    0.01  # a fall by a smaller share is no new count: the meter rounds, or was read between two registers
)

FELL = Quality(Grade.BAD, "counter_fell")
BACK = Quality(Grade.SUSPECT, "counter_fell")
REPLACED = Quality(Grade.SUSPECT, "meter_replaced")


@dataclass(frozen=True, slots=True)
class Counting:
    """How a channel is followed: where it rolls over, None if never; whether the total goes on after."""

    rollover: float | None
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Count:
    """What is remembered: the meter's own number as read last, and what is added to it.

    ``earlier`` is the number before the last. ``fell`` is the number it fell to, while that is not believed
    yet; ``fell_ms`` since when it is there in this run, None before the first reading of the run.
    """

    last: float
    added: float = 0.0
    earlier: float | None = None
    fell: float | None = None
    fell_ms: int | None = None


Counts = Mapping[str, Count]


def count(
    rules: Mapping[str, Counting], counts: Counts, reading: Reading
) -> tuple[Counts, Reading, list[str]]:
    """Return the new counts, the reading with totals, and in words what was decided on."""
    after, values, quality = dict(counts), dict(reading.values), dict(reading.quality)
    notes = []
    for name, rule in rules.items():
        number = values.get(name)
        if not isinstance(number, int | float) or isinstance(number, bool) or number - number != 0:
            continue
        before = counts.get(name) or Count(number)
        after[name], why, note = _followed(rule, before, number, reading.mono_ms)
        if why is FELL:
            del values[name]
        elif after[name].added:
            values[name] = rounded(number + after[name].added)
        if why is not None and (why is FELL or name not in quality):
            quality[name] = why
        if note:
            notes.append(f"{name} {note}")
    return after, reading._replace(values=values, quality=quality), notes


def _followed(rule: Counting, before: Count, number: float, now: int) -> tuple[Count, Quality | None, str]:
    if number >= before.last:
        return Count(number, before.added, before.last), None, ""
    if before.last - number < _NOISE * before.last:
        return replace(before, fell=None, fell_ms=None), BACK, ""
    if before.earlier is not None and number >= before.earlier:
        note = f"is {number:.12g} after {before.earlier:.12g}: the {before.last:.12g} between was misread"
        return Count(number, before.added), None, note
    if before.fell is None or before.fell_ms is None or number < before.fell:
        return replace(before, fell=number, fell_ms=now), FELL, ""
    if now - before.fell_ms < CONFIRMED_MS:
        return before, FELL, ""
    return _decided(rule, before, before.fell, number)


def _decided(rule: Counting, before: Count, fell: float, number: float) -> tuple[Count, Quality | None, str]:
    top = rule.rollover
    if top is not None and (1 - _EDGE) * top <= before.last <= top and 0 <= fell <= _EDGE * top:
        return (
            Count(number, rounded(before.added + top)),
            None,
            f"fell from {before.last:.12g} to {fell:.12g}: it rolled over, and {top:.12g} is added",
        )
    added = rounded(before.added + before.last - fell) if rule.goes_on else 0.0
    went = f"{before.last - fell:.12g} is added" if rule.goes_on else "it goes on from there"
    note = f"fell from {before.last:.12g} to {fell:.12g}: the meter was replaced or reset, and {went}"
    return Count(number, added), REPLACED, note
