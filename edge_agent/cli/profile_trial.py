"""Try a profile without a device: its driver polls the profile's vectors, and the values are compared."""

import asyncio
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any, cast

from edge_agent.cli.driver_page import sample_settings
from edge_agent.contract.messages import RESERVED_CHANNELS
from edge_agent.driver import (
    Answerer,
    Channel,
    Driver,
    Fault,
    Over,
    ProfileError,
    profile_text,
)
from edge_agent.onsite.bench import Memory, Poll, Script, poll_of
from edge_agent.reading import Value
from edge_agent.text import formatting
from edge_agent.text.language import plural, tr
from edge_agent.text.translation import translated

_USUAL_SERIAL = "9600 8N1"  # where the profile has none
_WIDTH, _INDENT = 100, " " * 9
_ADDRESS = 7  # the device's in a vector, where requests are written out
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")


@dataclass(slots=True)
class Trial:
    """What was found. ``vectors`` has what is wrong with each, ``remarks`` what a person should look at.

    ``values`` has what each vector says, in the units that the broker is told: a scale that is wrong by a
    thousand is seen there, for a vector that was computed with it agrees.
    """

    driver: str
    name: str
    file: str
    title: str = ""
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    vectors: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    poll: Poll | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not any(self.vectors.values())

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return {"ok": self.ok} | asdict(self)

    def lines(self) -> Iterator[str]:
        """Tell it to a person."""
        title = self.title or tr("cannot be used")
        yield tr(
            "{name}, profile of driver {driver}: {title}", name=self.name, driver=self.driver, title=title
        )
        yield from (tr("  WRONG  {problem}", problem=translated(problem)) for problem in self.problems)
        for vector, wrong in self.vectors.items():
            if wrong:
                problem = f"{vector}: {'; '.join(map(translated, wrong))}"
                yield tr("  WRONG  {problem}", problem=problem)
            else:
                yield tr("  ok     {vector}", vector=vector)
                values = ", ".join(f"{name} {value}" for name, value in self.values[vector].items())
                yield from wrap(values, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
        yield from (tr("  look   {remark}", remark=translated(remark)) for remark in self.remarks)
        if poll := self.poll:
            yield plural(
                len(poll.requests),
                "  a poll takes {number} request, {size} bytes, about {seconds:.2f} s at {serial}",
                "  a poll takes {number} requests, {size} bytes, about {seconds:.2f} s at {serial}",
                size=poll.size,
                seconds=poll.seconds,
                serial=poll.serial,
            )
            yield from (f"    {request}" for request in poll.requests)
        yield tr("in order") if self.ok else tr("not in order")


def try_profile(name: str, record: Driver[Any], profile: str) -> Trial:
    """Try a profile of a driver, given by its name or path. Whatever is wrong with it is in the result."""
    trial = Trial(name, Path(profile).stem, profile)
    address = {"address": _ADDRESS} if "address" in record.settings.model_fields else {}
    settings = record.settings.model_validate(sample_settings(record) | {"profile": profile} | address)
    try:
        device = cast("Answerer[Any, Any]", record.open(settings))
        facts = tomllib.loads(profile_text(name, profile))
    except ProfileError as error:
        trial.problems += map(str, error.problems)
        return trial
    except ValueError as error:
        trial.problems.append(str(error))
        return trial
    trial.title = facts["title"]
    trial.remarks += _remarks(trial.name, facts, device.channels)
    trial.problems += [
        f"channel {channel.name!r} has a name that is reserved in MQTT; give it another one"
        for channel in device.channels
        if channel.name in RESERVED_CHANNELS
    ]
    vectors = facts.get("vector", [])
    if not vectors:
        trial.problems.append("there is no [[vector]]; add what a device answered, and what it means")
    for vector in vectors or [{"expect": {}}]:
        bench = (Script if record.over is Over.LINE else Memory)(vector)
        told, fault = _polled(device, bench)
        wrong = [fault] if fault else list(_wrong(vector, device, told, bench))
        trial.poll = trial.poll or poll_of(record.serial(settings) or _USUAL_SERIAL, bench.requests())
        if vectors:
            trial.vectors[vector["name"]] = wrong
            trial.values[vector["name"]] = {
                channel.name: formatting.with_unit(told.get(channel.name), channel.quantity.unit)
                for channel in device.channels
            }
    return trial


def _polled(device: Answerer[Any, Any], bench: Memory | Script) -> tuple[dict[str, Value | None], str]:
    """Return what a device says by channel, or why it says nothing."""
    try:
        return {sample.channel: sample.value for sample in asyncio.run(device.poll(bench))}, ""
    except Fault as fault:
        return {}, str(fault)


def _wrong(
    vector: Mapping[str, Any],
    device: Answerer[Any, Any],
    told: Mapping[str, Value | None],
    bench: Memory | Script,
) -> Iterator[str]:
    wanted = vector["expect"] | dict.fromkeys(vector.get("unknown", []))
    for channel in device.channels:
        value, quantity = told.get(channel.name), channel.quantity
        if channel.name not in wanted:
            yield f"{channel.name} is {value}, and neither in expect nor in unknown"
        elif value != wanted[channel.name] or isinstance(value, bool) is not isinstance(
            wanted[channel.name], bool
        ):
            yield f"{channel.name} is {value}, expected {wanted[channel.name]}"
        elif isinstance(value, float | int) and not _plausible(value, quantity.low, quantity.high):
            yield f"{channel.name} is {value}, which is not plausible: {quantity.low} to {quantity.high}"
    for missing in sorted(wanted.keys() - {channel.name for channel in device.channels}):
        yield f"there is no channel {missing}"
    asked = len(bench.requests())
    if vector.get("requests", asked) != asked:
        yield f"the poll takes {asked} requests, expected {vector['requests']}"


def _plausible(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)


def _remarks(name: str, facts: Mapping[str, Any], channels: Sequence[Channel]) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield f"its name {name!r} is not <vendor>_<model> in lower case"
    for channel in channels:
        if not f"{channel.name}_".startswith(f"{channel.quantity}_"):
            yield f"channel {channel.name} is not named after its quantity, {channel.quantity}"
    if facts.get("unconfirmed"):
        yield f"not confirmed: {' '.join(facts['unconfirmed'].split())}"
