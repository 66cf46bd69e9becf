"""Compares two configurations: what a reload starts and stops, and what it cannot change. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from edge_agent.agent.layout import Layout, Part
from edge_agent.settings.channel import Channel
from edge_agent.settings.model import Config
from edge_agent.settings.validation_errors import Finding

_BY_ID = ("uplink", "bus", "device")
_LIVE = (
    "log",
    "clock",
    "gateway",
    "outbox",
)  # single tables, of which what is not refused is applied at once


class Changes(NamedTuple):
    """The ids of one kind of table (devices, buses or uplinks) that differ."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def ended(self) -> tuple[str, ...]:
        """Those to stop: removed or changed."""
        return self.removed + self.changed

    @property
    def begun(self) -> tuple[str, ...]:
        """Those to start: added or changed."""
        return self.added + self.changed


class Difference(NamedTuple):
    """What a reload starts and stops.

    ``restarted`` are devices that did not change, but whose bus did. ``renamed`` ones changed only in name,
    place or labels, and run on. ``closed`` are the buses whose ports or radios are closed. ``keys`` are the
    changed keys of the other tables, such as "log.level".
    """

    devices: Changes
    uplinks: Changes
    buses: Changes
    restarted: tuple[str, ...]
    renamed: tuple[str, ...]
    closed: frozenset[str]
    keys: tuple[str, ...]

    def words(self) -> list[str]:
        """Return what changed as text, such as "meter-7 changed", one line for each table and key."""
        lines = []
        for what, changes in (("", self.devices), ("bus ", self.buses), ("uplink ", self.uplinks)):
            for how in ("added", "removed", "changed"):
                lines += [f"{what}{id_} {how}" for id_ in getattr(changes, how)]
        lines += [f"{id_} changed" for id_ in self.renamed]
        return lines + [f"{key} changed" for key in self.keys]


def between(old: Layout, new: Layout) -> Difference:
    """Compare what runs with what is to run."""
    devices = _changes(old.parts, new.parts)
    renamed = tuple(id_ for id_ in devices.changed if _unnamed(old.parts[id_]) == _unnamed(new.parts[id_]))
    devices = devices._replace(changed=tuple(id_ for id_ in devices.changed if id_ not in renamed))
    restless = set(devices.added + devices.removed + devices.changed)
    was, will = old.config, new.config
    closed = frozenset(
        bus
        for bus in was.bus
        if old.on(bus)
        and (
            was.bus[bus] != will.bus.get(bus)
            or old.formats.get(bus) != new.formats.get(bus)
            or not new.on(bus)
            or any(old.parts[id_].talks and id_ in restless for id_ in old.on(bus))
        )
    )
    waits = was.clock.wait != will.clock.wait
    renewed = [id_ for id_, digest in new.certificates.items() if digest != old.certificates.get(id_)]
    return Difference(
        devices,
        _changes(was.uplink, will.uplink, was.uplink if waits else renewed),
        _changes(was.bus, will.bus),
        tuple(id_ for bus in sorted(closed) for id_ in old.on(bus) if id_ not in restless),
        renamed,
        closed,
        tuple(_keys(was, will)),
    )


def _changes(old: Mapping[str, object], new: Mapping[str, object], also: Iterable[str] = ()) -> Changes:
    other = set(also)
    return Changes(
        tuple(id_ for id_ in new if id_ not in old),
        tuple(id_ for id_ in old if id_ not in new),
        tuple(id_ for id_ in new if id_ in old and (old[id_] != new[id_] or id_ in other)),
    )


def _unnamed(part: Part) -> Part:
    """Return a device without names, place and labels, which only its description has."""
    settings = part.settings
    channels = {id_: channel.model_copy(update={"name": ""}) for id_, channel in settings.channel.items()}
    bare = {id_: channel for id_, channel in channels.items() if channel != Channel()}
    nameless = settings.model_copy(update={"name": "", "place": "", "labels": {}, "channel": bare})
    kept_as = part.kept_as._replace(hash="", description="")
    return replace(part, settings=nameless, kept_as=kept_as)


def _keys(old: Config, new: Config) -> Iterator[str]:
    for table in _LIVE:
        before, after = getattr(old, table), getattr(new, table)
        for key in type(before).model_fields:
            if getattr(before, key) != getattr(after, key):
                yield f"{table}.{key}"


def refused(old: Config, new: Config) -> Iterator[Finding]:
    """Find what cannot change while the agent runs."""
    for key in ("site", "id"):
        if getattr(old.gateway, key) != getattr(new.gateway, key):
            yield Finding(
                ("gateway", key),
                "cannot change while the agent runs: what is kept is numbered under it",
                f"set it back to {getattr(old.gateway, key)!r}; `edge-agent rename` changes it",
            )
    for table in Config.model_fields.keys() - {*_LIVE, *_BY_ID}:  # the console, the metrics
        if getattr(old, table) != getattr(new, table):
            yield Finding((table,), "cannot change while the agent runs", "restart the agent")
    if old.outbox.path != new.outbox.path:
        yield Finding(
            ("outbox", "path"),
            "cannot change while the agent runs",
            "restart the agent; what the old file still holds is not sent then",
        )
