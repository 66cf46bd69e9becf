"""A reading: what one device reported at one instant. The unit that is kept, sent and counted."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

Value = float | int | bool | str


class Grade(StrEnum):
    """How far a value may be believed. There is no entry for a good value: good is the default."""

    SUSPECT = "suspect"
    BAD = "bad"


class Quality(NamedTuple):
    """Why a channel's value is not good. ``reason`` is a word such as ``unknown`` or ``above_plausible``."""

    grade: Grade
    reason: str


class Reading(NamedTuple):
    """What one device reported at one instant.

    ``mono_ms`` is CLOCK_BOOTTIME in milliseconds, in the boot that is running now. A channel that is
    in neither mapping was not reported; one that is only in ``quality`` was reported as not known.
    """

    device: str
    mono_ms: int
    values: Mapping[str, Value]
    quality: Mapping[str, Quality] = {}
