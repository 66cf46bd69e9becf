"""The result of a reload."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.settings.error import Problem

_MOST_WORDS = 20


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What changed, a few words each, such as "meter-7 changed"; or the problems, and nothing changed.

    ``left_out`` are the problems of devices that do not run although the rest was applied.
    """

    changes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    left_out: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        if self.problems:
            return "not reloaded: " + "; ".join(map(str, self.problems))
        return "reloaded: " + (_listed(self.changes) or "nothing changed")


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _MOST_WORDS
    return ", ".join(words[:_MOST_WORDS]) + (f" and {more} more" if more > 0 else "")
