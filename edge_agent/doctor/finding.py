"""What a check found: fine, worth a look, or broken, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["OK", "WARN", "FAIL"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``remedy`` is "" where there is nothing to do."""

    group: str
    level: Level
    what: str
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Makes the findings of one group."""

    name: str

    def ok(self, what: str, says: str) -> Finding:
        """It is as it should be."""
        return Finding(self.name, "OK", what, says)

    def warn(self, what: str, says: str, remedy: str) -> Finding:
        """The agent runs with it; a person should look."""
        return Finding(self.name, "WARN", what, says, remedy)

    def fail(self, what: str, says: str, remedy: str) -> Finding:
        """With this the agent cannot do its work, or not all of it."""
        return Finding(self.name, "FAIL", what, says, remedy)

    def of_error(self, level: Level, what: str, error: object) -> Finding:
        """Make a finding of a message in which a semicolon stands before the remedy."""
        says, _, remedy = str(error).partition("; ")
        return Finding(self.name, level, what, says, remedy)
