"""What a watch shows: a table for people, a mapping for programs. Pure: a follower in, text out."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_agent.contract.follow import Follower
from edge_agent.contract.mending import Mending
from edge_agent.contract.messages import EventMessage
from edge_agent.text.formatting import plain
from edge_agent.text.language import plural, tr
from edge_agent.text.translation import translated

_GAPS = 100  # that a report names
_ROOM = 3  # lines of a kind that a screen has room for
_WORDS = ("event", "channel", "alarm", "value", "detail")


def summary(follower: Follower, mending: Mending | None, at: int, *, judged: bool) -> dict[str, Any]:
    """Return all there is to tell, for a program. ``judged``: this consumer hears all of each stream.

    ``mending`` is None where nothing is asked for.
    """
    counts = asdict(follower.counts)
    if not judged:
        for name in ("missing", "closed", "lost", "unjudged"):
            counts[name] = None
    offline = sorted(
        f"{gateway}/{device}"
        for (gateway, device), said in follower.devices.items()
        if said.availability == "offline"
    )
    gone = sorted(name for name, seen in follower.gateways.items() if seen.latest.state != "online")
    return counts | {
        "per_second": round(follower.readings.per_second(at), 2),
        "latency_p50_ms": follower.latency.percentile(50),
        "latency_p99_ms": follower.latency.percentile(99),
        "gateways": len(follower.gateways),
        "gateways_gone": gone,
        "devices_offline": offline,
        "events": [_event(one) for one in follower.events],
        "gaps": _gaps(follower) if judged else None,
        "replays": None
        if mending is None
        else {"asked": mending.asked, "open": mending.open, "problems": dict(mending.problems)},
    }


def _event(event: EventMessage) -> dict[str, Any]:
    named = ("gateway", "device", "ts", "event", "detail", "channel", "alarm", "value")
    return {name: value for name in named if (value := getattr(event, name)) is not None}


def event_lines(said: dict[str, Any]) -> list[str]:
    """Return a line for each of the latest events."""
    return [
        " ".join((f"{one['gateway']}/{one['device']}", *(str(one[key]) for key in _WORDS if key in one)))
        for one in said["events"]
    ]


def _gaps(follower: Follower) -> list[dict[str, Any]]:
    named = (
        key._asdict() | {"from_seq": first, "to_seq": last}
        for key, stream in follower.streams.items()
        for first, last in stream.gaps()
    )
    return list(islice(named, _GAPS))


def line(said: dict[str, Any]) -> str:
    """Return a report in one line."""
    return "  ".join((*_counts(said), *_conditions(said)))


def _counts(said: dict[str, Any]) -> Iterator[str]:
    yield plural(said["readings"], "{number} reading", "{number} readings")
    yield f"{said['per_second']:.1f}/s"
    yield plural(said["again"], "{number} duplicate", "{number} duplicates")
    if said["latency_p99_ms"] is not None:
        middle, most = said["latency_p50_ms"], said["latency_p99_ms"]
        yield tr("latency {middle} ms, 99 of 100 within {most} ms", middle=middle, most=most)
    if said["missing"] is None:
        yield tr("gaps not judged: the stream is shared")
        return
    yield tr("missing {missing}", missing=said["missing"])
    yield tr("closed {closed}", closed=said["closed"])
    yield tr("lost {lost}", lost=said["lost"])
    if said["unjudged"]:
        yield tr("not judged {unjudged}", unjudged=said["unjudged"])


def _conditions(said: dict[str, Any]) -> Iterator[str]:
    if (replays := said["replays"]) and replays["asked"]:
        yield tr("replays {asked}, {open} open", asked=replays["asked"], open=replays["open"])
    if said["refused"]:
        yield plural(said["refused"], "{number} message refused", "{number} messages refused")
    if said["gateways_gone"]:
        yield tr("gone: {names}", names=", ".join(said["gateways_gone"]))
    if said["devices_offline"]:
        yield tr("offline: {names}", names=", ".join(said["devices_offline"]))
    if said["events"]:
        yield tr("events {count}, last {last}", count=len(said["events"]), last=event_lines(said)[-1])


def gap_lines(said: dict[str, Any]) -> list[str]:
    """Return a line for each gap that is open, and for each gateway that sends nothing of its own."""
    return [
        tr("missing: {gateway}/{device} epoch {epoch} seq {from_seq} to {to_seq}", **gap)
        for gap in said["gaps"] or ()
    ] + problems(said)


def problems(said: dict[str, Any]) -> list[str]:
    """Return a line for each gateway that does not send again what is asked for."""
    found = (said["replays"] or {"problems": {}})["problems"]
    return [
        tr("no replay from {gateway}: {why}", gateway=gateway, why=why)
        for gateway, why in sorted(found.items())
    ]


def screen(  # noqa: PLR0913 - all that is shown
    follower: Follower, mending: Mending | None, at: int, news: str, rows: int, *, judged: bool
) -> Group:
    """Return the live table, with a row per device for as many as there is room for: the worst first."""
    table = Table(
        tr("gateway"), tr("device"), box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in ("seq", tr("on its way"), tr("missing"), tr("closed"), tr("lost")):
        table.add_column(column, justify="right")
    table.add_column(tr("availability"))
    devices: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for key, stream in follower.streams.items():
        mine = devices[key.gateway, key.device]
        mine[0] = stream.top
        mine[1] = max(0, stream.top - stream.settled)
        for place, count in enumerate((stream.missing, stream.closed, stream.lost), 2):
            mine[place] += count
    worst = sorted(devices, key=lambda device: (-devices[device][2], device))
    for gateway, device in worst[:rows]:
        counts = devices[gateway, device]
        known = follower.devices.get((gateway, device))
        shown = [str(count) if judged or place == 0 else "-" for place, count in enumerate(counts)]
        style = "red" if judged and counts[2] else ""
        table.add_row(
            Text(plain(gateway)),
            Text(plain(device)),
            *shown,
            translated(known.availability) if known else "-",
            style=style,
        )
    hidden = len(worst) - rows
    more = plural(hidden, "{number} more device", "{number} more devices")
    foot = [Text(more, "yellow")] if hidden > 0 else []
    said = summary(follower, mending, at, judged=judged)
    foot += [Text(plain(text)) for text in event_lines(said)[-_ROOM:]]
    foot += [Text(plain(text), "yellow") for text in problems(said)[:_ROOM]]
    return Group(
        Text(plain(line(said))),
        table,
        *foot,
        *([Text(news, "yellow")] if news else []),
    )
