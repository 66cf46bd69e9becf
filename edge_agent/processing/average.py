"""One reading for each window of time: mean, lowest and highest value of gauges, the last of all else. Pure.

The mean is plain: each value counts the same. To weigh values by the time until the next one would be to say
something of a time in which nothing was read; and what is asked, or speaks, at even intervals comes to the
same. Windows are counted in the boot's running time, so that steps of the wall clock do not touch them, and
all devices end theirs together. A window of which a part is not covered is suspect, and says so: after a
start, before a stop, or while the device was silent. A window in which nothing was heard makes no reading.

A change of a state is passed on at once, by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from edge_agent.processing.rounding import rounded
from edge_agent.reading import Grade, Quality, Reading, Value

PARTIAL = Quality(Grade.SUSPECT, "partial")


@dataclass(frozen=True, slots=True)
class Averaging:
    """How a device's readings are averaged. Times in milliseconds.

    ``means`` are the channels with a mean, each with the names for its lowest and its highest value.
    ``states`` are those whose changes are passed on at once. ``longest_ms`` is the longest time without a
    reading that leaves a window whole.
    """

    length_ms: int
    means: Mapping[str, tuple[str, str]]
    states: frozenset[str]
    longest_ms: float


class Sum(NamedTuple):
    """What a window knows of one channel. ``quality`` is the worst that came with a value."""

    number: int
    mean: float
    low: float
    high: float
    quality: Quality | None
    unknown: Quality | None  # and the last reason why there was no value


_NOTHING = Sum(0, 0.0, 0.0, 0.0, None, None)


@dataclass(frozen=True, slots=True)
class Window:
    """A window that is open: it ends before ``end_ms``. ``said`` is what was passed on of states."""

    end_ms: int
    heard_ms: int
    whole: bool
    sums: Mapping[str, Sum] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    quality: Mapping[str, Quality] = field(default_factory=dict)
    said: Mapping[str, tuple[Value | None, Quality | None]] = field(default_factory=dict)


def add(rule: Averaging, window: Window | None, reading: Reading) -> tuple[Window, list[Reading]]:
    """Return the window with one more reading in it, and what is to be kept now."""
    out = []
    now = reading.mono_ms
    if window is not None and now >= window.end_ms:
        out += ended(rule, window, reading.device, window.end_ms)
        begin = now - now % rule.length_ms
        window = Window(begin + rule.length_ms, begin, whole=True, said=window.said)
    if window is None:
        window = Window(now - now % rule.length_ms + rule.length_ms, now, whole=False)
    states = {
        name: (reading.values.get(name), reading.quality.get(name))
        for name in rule.states
        if name in reading.values or name in reading.quality
    }
    if changed := {name for name, state in states.items() if window.said.get(name) != state}:
        out.append(_only(reading, changed))
    return _with(rule, window, reading, {**window.said, **states} if changed else window.said), out


def ended(rule: Averaging, window: Window, device: str, at_ms: int) -> list[Reading]:
    """Return the reading of a window that ends at a time, before it is over if need be."""
    whole = window.whole and at_ms >= window.end_ms and at_ms - window.heard_ms <= rule.longest_ms
    values, quality = dict(window.values), dict(window.quality)
    for name, sum_ in window.sums.items():
        names = (name, *rule.means[name])
        if not sum_.number:
            if sum_.unknown is not None:
                quality.update(dict.fromkeys(names, sum_.unknown))
            continue
        mean = min(max(rounded(sum_.mean), sum_.low), sum_.high)
        values.update(zip(names, (mean, sum_.low, sum_.high), strict=True))
        why = sum_.quality or (PARTIAL if sum_.unknown is not None or not whole else None)
        if why is not None:
            quality.update(dict.fromkeys(names, why))
    return [Reading(device, at_ms, values, quality)] if values or quality else []


def _only(reading: Reading, names: set[str]) -> Reading:
    values = {name: value for name, value in reading.values.items() if name in names}
    quality = {name: why for name, why in reading.quality.items() if name in names}
    return reading._replace(values=values, quality=quality)


def _with(
    rule: Averaging,
    window: Window,
    reading: Reading,
    said: Mapping[str, tuple[Value | None, Quality | None]],
) -> Window:
    sums, values, quality = dict(window.sums), dict(window.values), dict(window.quality)
    for name in reading.values.keys() | reading.quality.keys():
        value, why = reading.values.get(name), reading.quality.get(name)
        if name in rule.means:
            sums[name] = _added(sums.get(name, _NOTHING), value, why)
            continue
        values.pop(name, None)
        quality.pop(name, None)
        if value is not None:
            values[name] = value
        if why is not None:
            quality[name] = why
    heard = window.heard_ms
    if any(name in sums for name in reading.values):  # the end of a hold is no sign of life
        heard = reading.mono_ms
    whole = window.whole and heard - window.heard_ms <= rule.longest_ms
    return replace(window, heard_ms=heard, whole=whole, sums=sums, values=values, quality=quality, said=said)


def _added(sum_: Sum, value: Value | None, why: Quality | None) -> Sum:
    if value is None or isinstance(value, bool | str) or (why is not None and why.grade is Grade.BAD):
        return sum_._replace(unknown=why or PARTIAL)
    count, mean, low, high, worst, unknown = sum_
    if not count:
        return Sum(1, value, value, value, why, unknown)
    # in two parts, since a sum or a difference of two large numbers may be none
    mean += value / (count + 1) - mean / (count + 1)
    return Sum(count + 1, mean, min(low, value), max(high, value), worst or why, unknown)
