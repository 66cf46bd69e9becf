"""Events that are kept, the newest first, with how long each lasted: read within bounds, beside an agent."""

import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import orjson

from edge_agent.event import EventKind, about
from edge_agent.outbox.events import STAYS
from edge_agent.outbox.readonly import NEWEST, ReadOnlyOutbox
from edge_agent.row import Moment, Row

_LOOKED_AT = 20_000
"""Events that are looked at for one page; as many newer ones for what ended, and fewer for what began."""
_FURTHER = 2_000

_LASTING = frozenset({"late", "offline", "alarm"})
_BACK = frozenset({"online", "alarm_cleared"})


@dataclass(slots=True)
class Happened:
    """One event. ``id`` is its place in the log, ``uplink`` the one that it is told to alone, "" for all.

    ``stays``: the device was taken away from that uplink, and goes on. ``lasted_s`` is for how long it was
    so, in seconds; of a device that is back, and of an alarm that was cleared, how long that was not so. None
    where that is not known, or while it ``goes_on``.
    """

    id: int
    when: Moment
    event: EventKind
    device: str
    detail: str
    channel: str
    alarm: str
    value: float | None
    uplink: str
    stays: bool
    lasted_s: float | None = None
    goes_on: bool = False


@dataclass(slots=True)
class Page:
    """Some of them. ``below`` is where the next page goes on, None where there are no more."""

    found: list[Happened]
    below: int | None


@dataclass(frozen=True, slots=True)
class _At:
    """When something was, as two clocks say."""

    boot: int
    mono_ms: int
    when: Moment

    def until(self, later: "_At") -> float | None:
        if self.boot == later.boot:
            return (later.mono_ms - self.mono_ms) / 1000
        sure = "unsynchronised" not in {self.when.clock, later.when.clock}
        return max(0, later.when.ts - self.when.ts) / 1000 if sure else None


class _Course:
    """What came after and what came before, while events are gone through backward."""

    def __init__(self) -> None:
        self._next: dict[str, _At] = {}  # by what it is about; of a device that was taken away, by its id
        self._back: dict[str, tuple[Happened, _At]] = {}  # what is back, and whose beginning is looked for

    @property
    def open(self) -> bool:
        return bool(self._back)

    def after(self, one: Happened, at: _At) -> None:
        """Take note of one that is newer than all that are looked at, in the order of the log."""
        for of in _abouts(one):
            self._next.setdefault(of, at)

    def take(self, one: Happened, at: _At, *, shown: bool) -> None:
        """Go on to the one before."""
        of = about(one.device, one.channel, one.alarm)
        if one.event in _LASTING:
            ends = [self._next[end] for end in {of, f"{one.device}/"} if end in self._next]
            first = min(ends, key=lambda end: (end.boot, end.mono_ms), default=None)
            one.lasted_s, one.goes_on = (None, True) if first is None else (at.until(first), False)
            if of in self._back:
                back, since = self._back[of]
                back.lasted_s = at.until(since)
        elif not one.stays:
            self._back.pop(of, None)
            if one.event in _BACK and shown:
                self._back[of] = one, at
        for key in _abouts(one):
            self._next[key] = at


def happened(  # noqa: PLR0913 - what is wanted, and how much of it
    look: ReadOnlyOutbox,
    *,
    below: int = NEWEST,
    device: str = "",
    kinds: Collection[EventKind] = (),
    most: int,
    within: float,
) -> Page:
    """Read events below a place in the log: of a device, "" for all, and of some kinds, none for all.

    After so many seconds, or so many others, the page ends: the next one goes on from there.

    Raises:
        DamagedError, OutboxError: the outbox cannot be read.
    """
    page, course, looked, looked_on = Page([], below), _Course(), 0, 0
    with suppress(TimeoutError), look.within(within) as until:
        for one, at in _newer(look, below):
            course.after(one, at)
        for one, at in _read(look, below, back=True):
            looked += 1
            full = len(page.found) == most
            if time.monotonic() > until or looked > _LOOKED_AT or (full and not course.open):
                break
            shown = not full and device in {"", one.device} and (not kinds or one.event in kinds)
            course.take(one, at, shown=shown)
            if shown:
                page.found.append(one)
            if not full:
                page.below, looked_on = one.id, looked
            elif looked - looked_on > _FURTHER:
                break
        else:
            page.below = None if len(page.found) < most else page.below
    return page


def _newer(look: ReadOnlyOutbox, from_id: int) -> Iterator[tuple[Happened, _At]]:
    yield from islice(_read(look, from_id, back=False), _LOOKED_AT)


def _read(look: ReadOnlyOutbox, at: int, *, back: bool) -> Iterator[tuple[Happened, _At]]:
    for row, when in look.events(at, back=back):
        yield _from_row(row, when), _At(row.boot, row.mono_ms, when)


def _from_row(row: Row, when: Moment) -> Happened:
    content = orjson.loads(row.body)
    return Happened(
        row.id,
        when,
        content["event"],
        content["device"],
        content.get("detail", ""),
        content.get("channel", ""),
        content.get("alarm", ""),
        content.get("value"),
        content.get("uplink", ""),
        STAYS in content,
    )


def _abouts(one: Happened) -> tuple[str, ...]:
    """Return what an event ends: what it is about; where a device was taken away, all of it, else nothing."""
    of = about(one.device, one.channel, one.alarm)
    if one.event == "retired":
        return () if one.stays else (of, f"{one.device}/")
    return (of,)
