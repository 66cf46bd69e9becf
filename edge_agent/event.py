"""Something that people want to be told of: a device fell silent, a limit was passed, the agent started."""

from dataclasses import dataclass
from typing import Literal

EventKind = Literal["online", "late", "offline", "alarm", "alarm_cleared", "retired", "restarted"]

GATEWAY = "gateway"
"""Stands for the agent itself where a device's id is expected."""


@dataclass(frozen=True, slots=True)
class Event:
    """One of them. ``device`` is its id, ``mono_ms`` when it was; ``detail`` says in words why.

    ``channel``, ``alarm`` (its name in the configuration) and ``value`` come with an alarm, and with its end.
    """

    kind: EventKind
    device: str
    mono_ms: int
    detail: str = ""
    channel: str = ""
    alarm: str = ""
    value: float | None = None

    @property
    def about(self) -> str:
        """Of what it is the latest news: a device, or one of its alarms."""
        return about(self.device, self.channel, self.alarm)


def about(device: str, channel: str = "", alarm: str = "") -> str:
    """Name a device, or one of its alarms, such that no two have the same name."""
    return f"{device}/{channel}.{alarm}" if alarm else device
