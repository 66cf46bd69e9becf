"""What is wrong with a configuration, said so that a person can put it right."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing a person must put right. ``line`` 0 and ``key`` "" mean the file as a whole."""

    file: str
    line: int
    key: str
    wrong: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        named = f"{self.key}: " if self.key else ""
        return f"{place}: {named}{self.wrong}; {self.remedy}"


class SettingsError(Exception):
    """The configuration cannot be used: a person must act, and trying again does not help.

    ``problems`` holds all of them at once, in the order of the file; str() has one line for each.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
