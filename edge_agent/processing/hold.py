"""Holding a state: true until some time after the device last said so, then what it has said since. Pure.

A tick ends a hold without a frame, and only if the device itself has said false since, or never does: one
that falls silent while it says true is late, and no value is made up for it. Holds are not kept over a
restart. Then the first frame counts as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edge_agent.processing.plan import Plan
from edge_agent.reading import Reading, Value


@dataclass(frozen=True, slots=True)
class Open:
    """A hold that goes on until ``until_ms``. ``said`` is the false heard since then, None without one.

    Of a momentary channel it is false from the beginning: its device need not say that it is over.
    """

    until_ms: int
    held: Value
    said: Value | None = None


Holds = Mapping[str, Open]


def hold(plan: Plan, holds: Holds, reading: Reading) -> tuple[Holds, Reading]:
    """Return the new holds, and the reading with what is held in it. What is not known is never held."""
    after, values = dict(holds), dict(reading.values)
    for name, length_ms in plan.holds.items():
        value, before = reading.values.get(name), holds.get(name)
        if value:
            over = False if name in plan.momentary else None
            after[name] = Open(reading.mono_ms + length_ms, value, over)
        elif before is None:
            continue
        elif value is None:
            if name in reading.quality:
                after[name] = replace(before, said=None)
        elif reading.mono_ms < before.until_ms:
            after[name], values[name] = replace(before, said=value), before.held
        else:
            del after[name]
    return after, reading._replace(values=values)


def next_due(holds: Holds) -> int | None:
    """Return when a tick is due, None while no hold can end by itself."""
    return min((one.until_ms for one in holds.values() if one.said is not None), default=None)


def tick(holds: Holds, now_ms: int) -> tuple[Holds, dict[str, Value]]:
    """Return the holds that go on, and the values of the channels whose hold has ended by now."""
    ended = {name: one.said for name, one in holds.items() if one.said is not None and one.until_ms <= now_ms}
    return {name: one for name, one in holds.items() if name not in ended}, ended
