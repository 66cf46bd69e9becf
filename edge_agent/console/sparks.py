"""Sparklines: a whole course in the size of a word. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.text import formatting

WIDTH, HEIGHT = 120, 28
"""Of the picture, in its own units."""
_EDGE = 2
_FEWEST = 2  # less is no course

Point = tuple[float, float, float]
"""Where it is, from 0 to 1, the lowest and the highest value there."""


@dataclass(frozen=True, slots=True)
class Spark:
    """One channel. ``path`` goes through the lowest and the highest value of each step, and over no gap."""

    channel: str
    path: str
    low: float
    high: float

    def told(self, unit: str) -> str:
        """Say in words what it shows."""
        return f"{self.channel} {formatting.value(self.low)} … {formatting.with_unit(self.high, unit)}"


def drawn(runs: Iterable[Sequence[Point]], low: float, high: float) -> str:
    """Return an SVG path through the lowest and the highest value of each point, one piece for each run."""
    path = []

    def down(value: float) -> str:
        share = (high - value) / (high - low) if high > low else 0.5
        return f"{_EDGE + (HEIGHT - 2 * _EDGE) * share:.1f}"

    for run in runs:
        letter = "M"
        for at, lowest, highest in run:
            x = f"{_EDGE + (WIDTH - 2 * _EDGE) * at:.1f}"
            path.append(f"{letter}{x} {down(lowest)}")
            if highest > lowest:
                path.append(f"L{x} {down(highest)}")
            letter = "L"
        if len(run) == 1:  # a line of no length is not seen
            path.append("h.8")
    return "".join(path)


def spark(channel: str, points: Sequence[tuple[float, float] | None], gap: int = 1) -> Spark | None:
    """Draw lowest and highest values at even steps, None where nothing was heard; None without two values.

    As many steps as ``gap`` may lie between two of them until that is a gap.
    """
    known = [(at, *point) for at, point in enumerate(points) if point is not None]
    if len(known) < _FEWEST:
        return None
    runs: list[list[Point]] = []
    last = -math.inf
    for at, lowest, highest in known:
        if at - last > gap:
            runs.append([])
        runs[-1].append((at / max(1, len(points) - 1), lowest, highest))
        last = at
    low, high = min(point[1] for point in known), max(point[2] for point in known)
    return Spark(channel, drawn(runs, low, high), low, high)


def sparks(told: Mapping[str, Any]) -> dict[str, Spark]:
    """Draw what the verb ``hour`` answers, by device; those of which nothing is known are left out."""
    made = {id_: spark(of["channel"], of["points"], of["gap"]) for id_, of in told["devices"].items()}
    return {id_: one for id_, one in made.items() if one is not None}
