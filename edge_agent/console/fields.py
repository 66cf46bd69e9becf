"""Forms made from models of settings: what each field is, and the table of TOML that its text becomes."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from edge_agent import registry
from edge_agent.driver import ProfileError, find_profiles, profile_text
from edge_agent.onsite import toml_text
from edge_agent.settings.channel import Calibrate
from edge_agent.settings.device import Device

Kind = Literal["text", "number", "choice", "list", "lines", "secret"]

NEW_BUS = "+"
"""Stands for a bus that is yet to be made."""

_BOUNDS = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
_YES_NO = (("", ""), ("true", "yes"), ("false", "no"))


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. ``name`` is the key's path in its table, with dots; ``help`` is English.

    ``choices`` are value and label; ``whole``: they are whole numbers. ``wrong`` is what is wrong with it.
    """

    name: str
    kind: Kind = "text"
    value: str = ""
    required: bool = False
    whole: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[tuple[str, str], ...] = ()
    help: str = ""
    default: str = ""
    wrong: str = ""

    @property
    def label(self) -> str:
        """What it is called where nobody gave it a better name."""
        return self.name.rpartition(".")[2].replace("_", " ").capitalize()


_KINDS: Mapping[str, Kind] = {"integer": "number", "number": "number", "array": "list", "object": "lines"}
_OF_DEVICE = ("name", "place", "interval", "expect", "average", "gap", "class", "when_full", "keep")


def device_fields(buses: Iterable[str]) -> Iterator[Field]:
    """Return those of any device, but its id and its driver's settings."""
    known = tuple((bus, bus) for bus in buses)
    yield Field("bus", "choice", required=True, choices=(*known, (NEW_BUS, "")))
    schema = Device.model_json_schema()["properties"]
    for key in _OF_DEVICE:
        yield _simple(key, schema[key])


def _simple(key: str, facts: Mapping[str, Any]) -> Field:
    """Return a field of the agent's own settings, whose durations are texts with a unit."""
    if "enum" in facts:
        return Field(key, "choice", choices=(("", ""), *((one, one) for one in facts["enum"])))
    return Field(key)


def settings_fields(name: str) -> Iterator[Field]:
    """Return those of a driver's settings.

    Raises:
        UnknownDriverError: there is no such driver, or it cannot be used.
    """
    driver = registry.load(name)
    schema = driver.settings.model_json_schema()
    for key, facts in schema.get("properties", {}).items():
        field = _of_schema(f"settings.{key}", facts, schema.get("$defs", {}))
        profiles = _profiles(name) if key == "profile" else ()
        if profiles:
            field = replace(field, kind="choice", choices=(("", ""), *profiles))
        yield replace(field, required=key in schema.get("required", ()))


def _of_schema(name: str, facts: Mapping[str, Any], definitions: Mapping[str, Any]) -> Field:
    kinds = [kind for kind in facts.get("anyOf", ()) if kind.get("type") != "null"]
    inner = kinds[0] if kinds else facts
    if reference := inner.get("$ref", ""):
        inner = definitions.get(reference.rpartition("/")[2], {})
    default = facts.get("default")
    field = Field(
        name,
        help=facts.get("description", "").replace("`", ""),
        default="" if default in (None, "", [], {}) else _written(default),
    )
    low, high = (next((inner[key] for key in keys if key in inner), None) for keys in _BOUNDS)
    if "enum" in inner:
        choices = (("", ""), *((str(one), str(one)) for one in inner["enum"]))
        return replace(field, kind="choice", choices=choices, whole=inner.get("type") == "integer")
    if inner.get("type") == "boolean":
        return replace(field, kind="choice", choices=_YES_NO)
    kind = "secret" if inner.get("format") == "password" else _KINDS.get(inner.get("type", ""), "text")
    return replace(field, kind=kind, low=low, high=high)


def _profiles(name: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple((profile, f"{_title(name, profile)} ({profile})") for profile in find_profiles(name))
    except ProfileError:
        return ()


def _title(driver: str, profile: str) -> str:
    try:
        return str(tomllib.loads(profile_text(driver, profile)).get("title", profile))
    except ValueError:  # a broken one: choosing it says what is wrong
        return profile


def channel_fields(quantity_kind: str) -> Iterator[Field]:
    """Return those of a channel: its name, its calibration, its limits; for a state no numbers."""
    yield Field("name")
    if quantity_kind != "state":
        schema = Calibrate.model_json_schema()["properties"]
        yield Field("calibrate.scale", "number", default=_written(schema["scale"]["default"]))
        yield Field("calibrate.offset", "number", default=_written(schema["offset"]["default"]))
        yield Field("plausible.0", "number")
        yield Field("plausible.1", "number")
    else:
        yield Field("hold")


def alarm_fields(alarm: str, quantity_kind: str) -> Iterator[Field]:
    """Return those of one alarm of a channel."""
    keys = ("equals", "delay") if quantity_kind == "state" else ("above", "below", "hysteresis", "delay")
    for key in keys:
        kind: Kind = "number" if key in {"above", "below", "hysteresis"} else "text"
        yield Field(f"alarm.{alarm}.{key}", kind)


def filled(fields: Iterable[Field], table: Mapping[str, Any]) -> list[Field]:
    """Return fields with what a table says."""
    return [replace(field, value=_written(_at(table, field.name), field.kind)) for field in fields]


def given(fields: Iterable[Field], told: Mapping[str, str]) -> list[Field]:
    """Return fields with what somebody wrote into them."""
    return [replace(field, value=told.get(field.name, "").strip()) for field in fields]


def put(table: dict[str, Any], fields: Sequence[Field]) -> None:
    """Change a table to what the fields say; an empty one takes its key away. Other keys stay."""
    for field in fields:
        *above, key = field.name.split(".")
        inner = table
        for step in above:
            inner = inner.setdefault(step, {})
        if field.value:
            inner[key] = _read(field)
        else:
            inner.pop(key, None)
    _prune(table)


def _prune(table: dict[str, Any]) -> None:
    """Take away what is empty now."""
    for key, value in list(table.items()):
        if isinstance(value, dict):
            _prune(value)
            if not value:
                del table[key]


def _read(field: Field) -> Any:  # noqa: PLR0911 - one for each kind
    """Return the value of a field's text; what is none stays text, and is refused with its reason."""
    text = field.value
    match field.kind:
        case "number":
            return _number(text)
        case "choice" if field.choices == _YES_NO:
            return text == "true"
        case "choice" if field.whole:
            return _number(text)
        case "list":
            return [part.strip() for part in text.split(",") if part.strip()]
        case "secret":
            return {"secret": text}
        case "lines":
            return _table(text)
        case _:
            return text


def _number(text: str) -> int | float | str:
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def _table(text: str) -> dict[str, Any] | str:
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except ValueError:
        return text


def _written(value: object, kind: Kind = "text") -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case {"secret": name} if kind == "secret":
            return str(name)
        case Mapping():
            return "\n".join(f"{toml_text.value(key)} = {toml_text.value(one)}" for key, one in value.items())
        case list() | tuple():
            return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) and value == int(value) else str(value)


def _at(table: Any, name: str) -> Any:
    for step in name.split("."):
        if isinstance(table, Mapping):
            table = table.get(step)
        elif isinstance(table, list) and step.isdigit() and int(step) < len(table):
            table = table[int(step)]
        else:
            return None
    return table


def blamed(
    fields: Iterable[Field], problems: Iterable[Mapping[str, Any]], table: str
) -> tuple[list[Field], list[str]]:
    """Put each problem to its field; return those, too, that belong to none, with their places."""
    known, others = {field.name: field for field in fields}, []
    for problem in problems:
        key = str(problem["key"]).removeprefix(f"{table}.")
        told = f"{problem['wrong']}; {problem['remedy']}"
        steps = key.split(".")
        names = (".".join(steps[:size]) for size in range(len(steps), 0, -1))
        name = next((name for name in names if name in known), None)
        if name is None or key == problem["key"]:
            place = f"{problem['file']}:{problem['line']}: " if problem["line"] else f"{problem['file']}: "
            others.append(f"{place}{problem['key']}: {told}" if problem["key"] else place + told)
        else:
            known[name] = replace(known[name], wrong=told)
    return list(known.values()), others
