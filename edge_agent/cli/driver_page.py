"""A driver's page: its README, with settings, channels and an example made from the driver itself."""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from edge_agent import registry
from edge_agent.bus.advertisement import uuid, written
from edge_agent.cli.decode import Given, meaning
from edge_agent.driver import Channel, Driver, ProfileError, Quantity, find_profiles, profile_text

_KINDS = ("frame", "request", "response", "value")  # as in Given and in vectors
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def page(name: str) -> str:
    """Return a driver's page as Markdown, with the generated sections as they are now.

    Raises:
        UnknownDriverError: there is no such driver, or it cannot be used.
    """
    record = registry.load(name)
    fresh = {
        "Settings": settings_table(record),
        "Channels": "\n\n".join(_channels(record, name)),
        "Example reading": _example(record, name),
    }
    start, *rest = _HEADING.split(registry.resource(record, "README.md"))
    sections = zip(rest[::2], rest[1::2], strict=True)
    return (
        start
        + "\n\n".join(f"## {heading}\n\n{fresh.get(heading, body).strip()}" for heading, body in sections)
        + "\n"
    )


def sample_settings(record: Driver[Any]) -> dict[str, Any]:
    """Return the driver's settings in its sample."""
    sample = tomllib.loads(registry.resource(record, "sample.toml"))
    device = next(iter(sample["device"].values()))
    return dict(device.get("settings", {}))


def vectors(record: Driver[Any]) -> list[dict[str, Any]]:
    """Return the vectors beside the driver's code."""
    return list(tomllib.loads(registry.resource(record, "vectors.toml")).get("vector", []))


def settings_table(record: Driver[Any]) -> str:
    """Return the driver's settings as a Markdown table."""
    schema = record.settings.model_json_schema()
    required = schema.get("required", [])
    rows = [
        (
            f"`{key}`",
            _type(facts),
            "" if key in required or facts["default"] is None else f"`{json.dumps(facts['default'])}`",
            facts["description"],
        )
        for key, facts in schema["properties"].items()
    ]
    return table(("Key", "Type", "Default", "Meaning"), rows)


def _type(facts: dict[str, Any]) -> str:
    bounds = (
        ("from", "minimum"),
        ("above", "exclusiveMinimum"),
        ("to", "maximum"),
        ("below", "exclusiveMaximum"),
    )
    facts = next((kind for kind in facts.get("anyOf", []) if kind.get("type") != "null"), facts)
    limits = (f"{word} {facts[key]:g}" for word, key in bounds if key in facts)
    return " ".join([facts.get("type", "any"), *limits])


def _channels(record: Driver[Any], name: str) -> Iterator[str]:
    settings = sample_settings(record)
    profiles = find_profiles(name)
    for profile, file in profiles.items():
        try:
            opened = record.settings.model_validate(settings | {"profile": profile})
            channels = list(record.open(opened).channels)
        except ProfileError as error:
            yield f"### `{profile}`\n\nCannot be used: {error}"
            continue
        facts = tomllib.loads(profile_text(name, profile))
        yield f"### `{profile}`: {facts['title']}"
        remarks = {
            "": f"This profile is {file.note}" if file.note else "",
            "Factory serial format": record.serial(opened) or "not told by the source",
            "Quality": facts.get("quality", "bronze"),
            "Source": facts["source"],
            "Not confirmed": facts.get("unconfirmed", ""),
        }
        yield " ".join(f"{what}: {text}." if what else f"{text}." for what, text in _ended(remarks))
        yield _channel_table(channels)
    if not profiles:
        yield _channel_table(every_channel(record))


def _ended(remarks: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((what, text.rstrip(".")) for what, text in remarks.items() if text)


def every_channel(record: Driver[Any]) -> list[Channel]:
    """Return all channels of a driver without profiles, whatever its settings are."""
    sample = sample_settings(record)
    variants = [sample, *(sample | vector.get("settings", {}) for vector in vectors(record))]
    opened = (record.open(record.settings.model_validate(variant)) for variant in variants)
    return list(dict.fromkeys(channel for device in opened for channel in device.channels))


def _channel_table(channels: list[Channel]) -> str:
    rows = [
        (
            f"`{channel.name}`",
            channel.quantity.value,
            _unit(channel.quantity),
            channel.label + (" (optional)" if channel.optional else ""),
        )
        for channel in channels
    ]
    return table(("Channel", "Quantity", "Unit", "Meaning"), rows)


def _unit(quantity: Quantity) -> str:
    return "" if quantity.unit == "1" else quantity.unit


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _example(record: Driver[Any], name: str) -> str:
    vector = next(vector for vector in vectors(record) if "expect" in vector)
    settings = vector.get("settings", {})
    frames = {kind: bytes.fromhex(vector[kind]) for kind in _KINDS if kind in vector}
    broadcast = vector.get("advertisement", {})
    given = Given(
        frames.get("frame"),
        frames.get("request"),
        frames.get("response"),
        written(broadcast) if broadcast else None,
        uuid(vector["characteristic"]) if "characteristic" in vector else None,
        frames.get("value"),
    )
    options = [f"--set {key}={value}" for key, value in settings.items()]
    options += [f"--characteristic {vector[kind]}" for kind in ("characteristic",) if kind in vector]
    options += [f'--{kind} "{vector[kind]}"' for kind in frames]
    for kind, value in broadcast.items():
        option = "--" + kind.replace("_", "-")
        parts = [f"{key}={text}" for key, text in value.items()] if isinstance(value, dict) else [value]
        options += [f'{option} "{part}"' for part in parts]
    command = " \\\n    ".join([f"edge-agent decode {name}", *options])
    try:
        answer = json.dumps(meaning(record, name, settings, given), ensure_ascii=False)
    except ValueError as error:  # the site's own profile of that name is broken
        return f"{vector['name']}: {error}"
    return f"{vector['name']} ({vector['source']}):\n\n```console\n$ {command}\n{answer}\n```"
