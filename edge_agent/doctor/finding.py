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
        """Make a finding that all is well."""
        return Finding(self.name, "OK", what, says)

    def warn(self, what: str, says: str, remedy: str) -> Finding:
        """Make a finding that a person should look at; the agent runs all the same."""
        return Finding(self.name, "WARN", what, says, remedy)

    def fail(self, what: str, says: str, remedy: str) -> Finding:
        """Make a finding that keeps the agent from all or some of its work."""
        return Finding(self.name, "FAIL", what, says, remedy)

    def of_error(self, level: Level, what: str, error: object) -> Finding:
        """Make a finding of a message in which a semicolon stands before the remedy."""
        says, _, remedy = str(error).partition("; ")
        return Finding(self.name, level, what, says, remedy)
