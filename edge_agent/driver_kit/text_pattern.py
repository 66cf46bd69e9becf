"""Texts of a given form in settings and profiles, whose faults are told in words."""

import re

from pydantic import AfterValidator


def form(pattern: str, wrong: str) -> AfterValidator:
    """Return the check that a whole text matches a pattern.

    ``wrong`` says what a text is not that does not, then what to write: "is no name; write small letters".
    """
    known = re.compile(pattern)

    def check(text: str) -> str:
        if not known.fullmatch(text):
            raise ValueError(f"{text!r} {wrong}")
        return text

    return AfterValidator(check)
