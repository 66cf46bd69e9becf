"""The shapes of what ``/api`` answers; docs/api/openapi.json is made of them, and nothing else loads them."""

from collections.abc import Mapping
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, create_model

from edge_agent.downsampling import Span
from edge_agent.event import EventKind
from edge_agent.reading import Value
from edge_agent.reconfiguration.history import Outcome
from edge_agent.status import Status


class Refused(BaseModel):
    """Why there is no answer, and what to do instead."""

    error: str


class PastChannel(BaseModel):
    """What one channel was: its UCUM code, and the spans of time in which something was read, in order."""

    unit: str
    spans: tuple[Span, ...]


class Past(BaseModel):
    """What a device read between two times, in ms since 1970 UTC, thinned out for a plot.

    Two readings further apart than ``gap_ms`` have a gap between them. ``complete``: all of it could be
    read in time, else only the newest. ``clock`` is "synchronised", or "unsynchronised" where the
    times are not sure. Channels whose values are texts are not among ``channels``.
    """

    device: str
    from_ms: int
    to_ms: int
    gap_ms: int
    complete: bool
    clock: str
    timezone: str
    channels: Mapping[str, PastChannel]


class Frame(BaseModel):
    """What was asked and heard, in hex; what may be of a password has ``..`` in its place.

    ``age_s`` is how long ago, ``ts`` when, in ms since 1970 UTC, None while the time is not known. ``sent``
    is "" where nobody asked; over a connection it is the UUID of what was asked for. Of ``size`` bytes
    only the first were kept; 0: all. ``values`` are [value, UCUM code] by channel.
    """

    age_s: float
    ts: int | None
    sent: str
    heard: str
    size: int
    fault: str
    values: Mapping[str, tuple[Value | None, str]]
    note: str


class Frames(BaseModel):
    """The last frames of a device, the newest first, each of ``longest`` bytes at most. What failed stays."""

    device: str
    longest: int
    frames: tuple[Frame, ...]


class Happening(BaseModel):
    """One thing that happened. ``ts`` is in ms since 1970 UTC, None where it is not known; ``detail`` why.

    ``clock`` says how true ``ts`` is. ``device`` is "" where it is of the gateway. With alarms and their end
    come ``channel``, ``alarm`` (its name) and ``value``. ``lasted_s`` is how long it was so, and of a device
    that is back or an alarm that was cleared how long it was not; None where that is not known, or while it
    ``goes_on``. With ``changed``, of the configuration, come ``by``, ``number`` and ``outcome``; with
    ``lost``, of readings that were given up, how many and when the first was made, None where that is not
    known; ``ts`` is that of the last.
    """

    event: Literal[EventKind, "changed", "lost"]
    ts: int | None
    clock: Literal["synchronised", "repaired", "unsynchronised"]
    device: str
    detail: str
    channel: str
    alarm: str
    value: float | None
    lasted_s: float | None
    goes_on: bool
    by: str
    outcome: Literal["", Outcome]
    number: int | None
    readings: int | None
    from_ts: int | None


class Happened(BaseModel):
    """A page of what happened, the newest first. ``next`` is the ``before`` of the next one, "" of none.

    It may have fewer than 50, even none, and a ``next``: then that much was looked through.
    """

    happened: tuple[Happening, ...]
    next: str
    timezone: str


def _status() -> type[BaseModel]:
    """Return the shape of what ``status.as_json`` makes: the snapshot, and what a person should look at."""
    fields: dict[str, Any] = {name: (hint, ...) for name, hint in get_type_hints(Status).items()}
    return create_model("Status", __doc__=Status.__doc__, **fields, wrong=(tuple[str, ...], ...))


ANSWERS: Mapping[str, type[BaseModel]] = {
    "status": _status(),
    "past": Past,
    "frames": Frames,
    "happened": Happened,
}
"""Of each operation that answers with JSON of its own, by name."""
