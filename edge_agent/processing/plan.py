"""What processing does for one device, worked out once from its settings and its channels."""

import math
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from edge_agent.driver import Channel, Quantity
from edge_agent.processing.alarm import Limit
from edge_agent.processing.average import Averaging
from edge_agent.processing.counter import Counting
from edge_agent.processing.rounding import rounded
from edge_agent.settings.channel import Alarm, Calibrate, Report
from edge_agent.settings.channel import Channel as Told
from edge_agent.settings.device import Device
from edge_agent.settings.device_channels import EXTREMES, averaged

# Goes to and fro between still and both while somebody fidgets; whether there is anybody, occupancy tells.
_RESTLESS = {Quantity.TARGET_STATE}
_MISSED = 3  # expected readings in a row that a window of an average may lack, if it is long
_MOST = sys.float_info.max  # so that an infinity is outside of any bounds, as NaN is

Curve = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Change:
    """How far a number must move to be reported: by ``change``, or by ``share`` of what it was."""

    change: float = math.inf
    share: float = math.inf


@dataclass(frozen=True, slots=True)
class OnChange:
    """When a reading is passed on. ``states`` are the channels where any difference counts.

    ``silence_ms`` is how long after the last reading the next one is passed on unchanged; it may be infinite.
    A device that says nothing ends no silence: an old value under a new time would be a lie.
    """

    states: frozenset[str]
    numbers: Mapping[str, Change]
    silence_ms: float


@dataclass(frozen=True, slots=True)
class Memorable:
    """The steps that few devices have, and that remember: counters by channel, limits, an average."""

    counters: Mapping[str, Counting] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    average: Averaging | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps for one device. ``on_change`` is None where every reading is passed on.

    ``bounds`` has every channel of the device, ``curves`` those that are calibrated, ``holds`` those that are
    held, with how long in milliseconds. ``memorable`` is None for most devices, which pay nothing
    for it.
    """

    bounds: Mapping[str, tuple[float, float]]
    curves: Mapping[str, Curve]
    on_change: OnChange | None
    holds: Mapping[str, int] = field(default_factory=dict)
    momentary: frozenset[str] = frozenset()
    memorable: Memorable | None = None


def plan_for(device: Device, channels: Iterable[Channel], talker: bool) -> Plan:  # noqa: FBT001 - a plain fact
    """Work out the steps for a device that has these channels.

    A talker speaks often and mostly says the same: a difference in a state is passed on at once, and a
    whole reading once per interval. An answerer is asked when a reading is wanted, so all is passed on.
    A ``report`` changes that: then readings are passed on for the reasons it gives, for a difference in
    a state, and for nothing else. A target state starts a reading only where its own report says so.
    With an average, all of it goes into windows.
    """
    known = {channel.name: channel for channel in channels}
    told = {name: channel for name, channel in device.channel.items() if name in known}
    bounds = {name: _bounds(channel) for name, channel in known.items()}
    bounds |= {name: _finite(*channel.plausible) for name, channel in told.items() if channel.plausible}
    curves = {name: curve for name, channel in told.items() if (curve := _curve(channel.calibrate))}
    holds = {name: round(channel.hold * 1000) for name, channel in told.items() if channel.hold}
    momentary = frozenset(name for name in holds if known[name].momentary)
    reports = {name: channel.report for name, channel in told.items() if channel.report}
    restless = {name for name, channel in known.items() if channel.quantity in _RESTLESS}
    states = {name for name, channel in known.items() if channel.quantity.kind == "state"} - restless
    memorable = _memorable(device, told, known, frozenset(states))
    if device.average is not None or (not talker and device.report is None and not reports):
        return Plan(bounds, curves, None, holds, momentary, memorable)
    numbers = {
        name: change
        for name in known.keys() - states
        if (change := _change(None if name in restless else device.report, reports.get(name))) != Change()
    }
    silence = _silence(device, reports.values(), talker=talker)
    on_change = OnChange(frozenset(states), numbers, silence * 1000)
    return Plan(bounds, curves, on_change, holds, momentary, memorable)


def _memorable(
    device: Device, told: Mapping[str, Told], known: Mapping[str, Channel], states: frozenset[str]
) -> Memorable | None:
    counters = {
        name: Counting(channel.counter.rollover, channel.counter.continue_)
        for name, channel in told.items()
        if channel.counter
    }
    limits = tuple(
        _limit(known[name], alarm, limit) for name, one in told.items() for alarm, limit in one.alarm.items()
    )
    if not counters and not limits and device.average is None:
        return None
    return Memorable(counters, limits, _averaging(device, known.values(), states))


def _limit(channel: Channel, name: str, limit: Alarm) -> Limit:
    return Limit(
        channel.name,
        name,
        limit.above,
        limit.below,
        limit.equals,
        limit.hysteresis,
        round(limit.delay * 1000),
        channel.quantity.unit,
    )


def _averaging(device: Device, channels: Iterable[Channel], states: frozenset[str]) -> Averaging | None:
    if device.average is None:
        return None
    means = {
        channel.name: (f"{channel.name}_{EXTREMES[0][0]}", f"{channel.name}_{EXTREMES[1][0]}")
        for channel in averaged(device, channels)
    }
    longest = min(_MISSED * (device.expect or device.interval), device.average / 2)
    return Averaging(round(device.average * 1000), means, states, longest * 1000)


def _bounds(channel: Channel) -> tuple[float, float]:
    low, high = channel.quantity.low, channel.quantity.high
    return _finite(-_MOST if low is None else low, _MOST if high is None else high)


def _finite(low: float, high: float) -> tuple[float, float]:
    # Floats also where they are whole: most values are floats, and two of a kind are quicker to compare.
    return float(max(low, -_MOST)), float(min(high, _MOST))


def _change(general: Report | None, own: Report | None) -> Change:
    """Merge a channel's report with its device's, key by key."""
    change = own.change if own and own.change is not None else general.change if general else None
    percent = own.percent if own and own.percent is not None else general.percent if general else None
    return Change(math.inf if change is None else change, math.inf if percent is None else percent / 100)


def _silence(device: Device, reports: Iterable[Report], *, talker: bool) -> float:
    """Return the shortest silence that anyone asked for, in seconds."""
    general = device.report.silence if device.report else None
    if general is None and talker:
        general = device.interval
    wanted = [general, *(report.silence for report in reports)]
    shortest = min((silence for silence in wanted if silence is not None), default=math.inf)
    # an answer that comes a moment early is not put off for a whole interval
    return shortest if talker else max(0.0, shortest - device.interval / 2)


def _curve(calibrate: Calibrate | None) -> Curve | None:
    if calibrate is None:
        return None
    if calibrate.points is not None:
        return _through(calibrate.points)
    scale, offset = calibrate.scale, calibrate.offset
    if (scale, offset) == (1, 0):
        return None
    return lambda value: rounded(value * scale + offset)


def _through(points: tuple[tuple[float, float], ...]) -> Curve:
    """Make straight lines between points, the first and the last one extended."""
    inner = [measured for measured, _ in points[1:-1]]
    segments = [
        (left, true, (next_true - true) / (right - left))
        for (left, true), (right, next_true) in pairwise(points)
    ]

    def curve(value: float) -> float:
        left, true, slope = segments[bisect_right(inner, value)]
        return rounded(true + (value - left) * slope)

    return curve
