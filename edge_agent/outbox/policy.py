"""What the configuration tells the outbox: who keeps readings, for whom, how long, and which go first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edge_agent.event import GATEWAY


class Identity(NamedTuple):
    """Under what the readings are numbered."""

    site: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Policy:
    """How the outbox keeps. Times in seconds, sizes in bytes, ``memory`` in readings."""

    window: float
    memory: int
    replay: float
    max_size: int


class Care(NamedTuple):
    """How much a device's readings matter when there is no room, and which of them go."""

    class_: Literal["critical", "normal", "bulk"] = "normal"
    when_full: Literal["oldest", "thin", "refuse"] = "oldest"


USUAL = Care()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which devices are on an uplink, None: all of them; and what it begins with when it is new.

    The gateway itself always is.
    """

    devices: Collection[str] | None = None
    begin: Literal["now", "oldest"] = "now"

    def __contains__(self, device: str) -> bool:
        """Say whether a device is on it."""
        return self.devices is None or device == GATEWAY or device in self.devices


class Enrolment(NamedTuple):
    """A device whose readings are to be kept, and the description they are made under: hash and JSON body."""

    device: str
    hash: str
    description: str
    names: Sequence[str]
    care: Care = USUAL
