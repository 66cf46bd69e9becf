"""The verb that tells what happened: events, changes of the configuration, and what was given up."""

import asyncio
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from edge_agent.agent.agent import Agent
from edge_agent.control.protocol import STRICT, RefusedError
from edge_agent.control.server import Tell
from edge_agent.event import GATEWAY, EventKind
from edge_agent.outbox.happened import Happened, happened
from edge_agent.outbox.readonly import NEWEST, ReadOnlyOutbox, open_read_only
from edge_agent.outbox.store import DamagedError, OutboxError
from edge_agent.reconfiguration.history import History
from edge_agent.settings.field_types import Id

Kind = Literal["", "device", "alarm", "start", "change", "loss"]
"""What somebody may want to see alone; "" is all of it."""
Before = Annotated[str, Field(pattern=r"^([0-9]{0,18}\.[0-9]{0,18}\.[0-9]{0,18})?$", max_length=56)]
"""Where a page begins: what ``next`` of the one before said, a place in each list; "" is its newest."""

EVENTS: Mapping[str, tuple[EventKind, ...]] = {
    "": (),
    "device": ("online", "late", "offline", "retired"),
    "alarm": ("alarm", "alarm_cleared"),
    "start": ("restarted",),
}
MOST = 50  # of a page
WITHIN_S = 3.0
_TURN_S = 5.0
_LOOKED_AT = 1_000  # losses, or changes, for a page

_one_at_a_time = threading.Lock()  # each reads the disk for up to 3 s


class HappenedArgs(BaseModel):
    """Of which device, "" for all, and which kind; and of what age."""

    model_config = STRICT

    device: Id | Literal[""] = ""
    kind: Kind = ""
    before: Before = ""
    most: Annotated[int, Field(ge=1, le=MOST)] = MOST


@dataclass(frozen=True, slots=True)
class _List:
    """One of the three, the newest first: of each its number, when it was, and what is told of it.

    It ``begins`` below a number, and goes on ``below`` another; 0: it does not.
    """

    begins: int = 0
    told: Sequence[tuple[int, int, Mapping[str, Any]]] = ()
    below: int = 0

    def at(self, count: int) -> int:
        """Return where it goes on once so many of it were taken."""
        if count == len(self.told):
            return self.below
        return self.told[count - 1][0] if count else self.begins

    def whens(self) -> list[int]:
        """Return when each was, but none before one below it: some clocks were wrong, some not known."""
        return list(accumulate((when for _, when, _ in reversed(self.told)), max))[::-1]


async def tell_happened(agent: Agent, args: HappenedArgs, _tell: Tell) -> Mapping[str, Any]:
    """Read it beside the agent. ``happened`` has the newest first; ``next`` is "" after the last of them.

    A page may have fewer than asked for, even none, and a ``next``: then that much was looked through.
    """
    status = agent.status()
    history = agent.config_editor.history if agent.config_editor is not None else None
    try:
        found, next_ = await asyncio.to_thread(_in_turn, Path(status.outbox), history, args)
    except (OutboxError, DamagedError, TimeoutError) as error:
        raise RefusedError(str(error)) from None
    return {"happened": found, "next": next_, "timezone": agent.config.gateway.timezone}


def _in_turn(path: Path, history: History | None, args: HappenedArgs) -> tuple[list[Mapping[str, Any]], str]:
    if not _one_at_a_time.acquire(timeout=_TURN_S):
        raise TimeoutError("others look at what happened just now; try again in a minute")
    try:
        at = [int(part) if part else NEWEST for part in (args.before or "..").split(".")]
        with open_read_only(path) as look:
            lists = [_events(look, args, at[0]), _changes(history, args, at[1]), _losses(look, args, at[2])]
        return _merged(lists, args.most)
    finally:
        _one_at_a_time.release()


def _merged(lists: Sequence[_List], most: int) -> tuple[list[Mapping[str, Any]], str]:
    """Take the newest of all, until there are enough, or one of them has more than is known of it."""
    whens, taken = [source.whens() for source in lists], [0] * len(lists)
    found: list[Mapping[str, Any]] = []
    while len(found) < most:
        rest = [number for number, source in enumerate(lists) if taken[number] < len(source.told)]
        if not rest or any(source.below for number, source in enumerate(lists) if number not in rest):
            break
        newest = max(rest, key=lambda number: whens[number][taken[number]])
        found.append(lists[newest].told[taken[newest]][2])
        taken[newest] += 1
    at = [source.at(count) for source, count in zip(lists, taken, strict=True)]
    return found, ".".join("" if place == NEWEST else str(place) for place in at) if any(at) else ""


def _events(look: ReadOnlyOutbox, args: HappenedArgs, below: int) -> _List:
    if args.kind not in EVENTS:
        return _List()
    page = happened(
        look,
        below=below,
        device=args.device,
        kinds=EVENTS[args.kind],
        most=args.most + 1,
        within=WITHIN_S,
    )
    told = [(one.id, one.when.ts, _event(one)) for one in page.found]
    return _List(below, told, page.below or 0)


def _changes(history: History | None, args: HappenedArgs, below: int) -> _List:
    if history is None or args.kind not in {"", "change"}:
        return _List()

    def each() -> Iterator[tuple[int, int, Mapping[str, Any] | None]]:
        for one in history.all(below):
            of = {word.split(" ")[1] for word in one.words if word.startswith("device ")}
            told = _told("changed", one.ts, detail=", ".join(one.words), by=one.by, outcome=one.outcome)
            told["number"] = one.number
            yield one.number, one.ts or 0, told if args.device in {"", *of} else None

    return _list(each(), args.most, below)


def _losses(look: ReadOnlyOutbox, args: HappenedArgs, below: int) -> _List:
    if args.kind not in {"", "loss"}:
        return _List()

    def each() -> Iterator[tuple[int, int, Mapping[str, Any] | None]]:
        for one in look.losses(below):
            told = _told("lost", one.to_ts, device=one.device, detail=one.reason, readings=one.readings)
            told["from_ts"] = one.from_ts
            yield one.id, one.to_ts or 0, told if args.device in {"", one.device} else None

    with look.within(WITHIN_S):
        return _list(each(), args.most, below)


def _list(each: Iterable[tuple[int, int, Mapping[str, Any] | None]], most: int, begins: int) -> _List:
    """Take one more than are wanted of those that are."""
    found, below = [], 0
    for looked, (number, when, told) in enumerate(each, 1):
        if told is not None:
            found.append((number, when, told))
        if len(found) > most or looked == _LOOKED_AT:
            below = number
            break
    return _List(begins, found, below)


def _event(one: Happened) -> Mapping[str, Any]:
    told = _told(
        one.event,
        one.when.ts,
        clock=one.when.clock or "synchronised",
        device="" if one.device == GATEWAY else one.device,
        detail=one.detail or (f"from uplink {one.uplink}" if one.uplink else ""),
    )
    told |= {"channel": one.channel, "alarm": one.alarm, "value": one.value}
    return told | {"lasted_s": one.lasted_s, "goes_on": one.goes_on}


def _told(event: str, ts: int | None, **said: Any) -> dict[str, Any]:
    """Return all keys that are told of each thing, whatever it is."""
    return {
        "event": event,
        "ts": ts,
        "clock": "synchronised",
        "device": "",
        "detail": "",
        "channel": "",
        "alarm": "",
        "value": None,
        "lasted_s": None,
        "goes_on": False,
        "by": "",
        "outcome": "",
        "number": None,
        "readings": None,
        "from_ts": None,
    } | said
