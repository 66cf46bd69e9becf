"""Forms made from models of settings: what each field is. The models say labels, ranges and help."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from edge_agent import registry
from edge_agent.driver import ProfileError, Quantity, find_profiles
from edge_agent.profile import profile_title
from edge_agent.settings import units
from edge_agent.settings.channel import Alarm, Channel
from edge_agent.settings.device import Bus, Device
from edge_agent.settings.device_channels import meaningless
from edge_agent.settings.validation_errors import table_in

Kind = Literal["text", "duration", "number", "choice", "list", "lines", "secret", "pair", "points", "any"]

NEW_BUS = "+"
"""Stands for a bus that is yet to be made."""
NEW_ALARM = "new"
"""Stands for an alarm that is yet to have a name."""

YES_NO = (("", ""), ("true", "yes"), ("false", "no"))
_SPARE_ROWS = 2
_BOUNDS = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. ``name`` is the key's path in its table, with dots.

    ``label``, ``group``, ``help`` and ``range`` are English. ``choices`` are value and label; ``whole``: they
    are whole numbers. ``value`` is the text in it: of pairs and points a line for each, a tab between the
    two numbers. ``wrong`` is what is wrong with it.
    """

    name: str
    kind: Kind = "text"
    label: str = ""
    group: str = ""
    value: str = ""
    required: bool = False
    whole: bool = False
    range: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    help: str = ""
    default: str = ""
    wrong: str = ""

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Return the two numbers of each row of a pair or of points, with what their inputs are called."""
        told = [line.partition("\t")[::2] for line in self.value.split("\n") if line]
        if self.kind == "pair":
            return [(self.name, *(told or [("", "")])[0])]
        told += [("", "")] * _SPARE_ROWS
        return [(f"{self.name}.{number}", *row) for number, row in enumerate(told)]

    @property
    def inputs(self) -> list[str]:
        """Return what its inputs are called, of which the first one is the field's place in the page."""
        if self.kind in {"pair", "points"}:
            return [f"{row}.{side}" for row, _, _ in self.rows for side in (0, 1)]
        return [self.name]


def of_model(model: type[BaseModel], above: str = "", group: str = "") -> Iterator[Field]:
    """Return a field for each key of a model and of the tables in it, but for tables that have an id each."""
    for name, told in model.model_fields.items():
        path, inner = f"{above}{told.alias or name}", table_in(told.annotation)
        if inner is None:
            yield _of_key(path, told, group)
        elif get_origin(told.annotation) is not Mapping:
            yield from of_model(inner, f"{path}.", told.title or "")


def _of_key(path: str, told: FieldInfo, group: str) -> Field:
    kind, choices, notes = _read(told.annotation, told.metadata)
    said = next((note.func.written for note in notes if isinstance(_func(note), units.Within)), "")
    usual = "" if told.is_required() or told.default_factory else _usual(kind, told.default)
    return Field(
        path,
        kind,
        told.title or "",
        group,
        required=told.is_required(),
        range=said.replace('"', "").replace(" to ", " … "),
        choices=choices,
        help=told.description or "",
        default=usual,
    )


def _func(note: object) -> object:
    return getattr(note, "func", None)


def _read(annotation: Any, notes: Sequence[Any]) -> tuple[Kind, tuple[tuple[str, str], ...], list[Any]]:  # noqa: PLR0911 - one for each kind
    """Return what a key may hold: the kind, the choices, and what must be true of it."""
    known = list(notes)
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        known += more
    if any(isinstance(note, BeforeValidator) and note.func is units.duration for note in known):
        return "duration", (), known
    if get_origin(annotation) in {Union, UnionType}:
        parts = [part for part in get_args(annotation) if part is not NoneType]
        return _read(parts[0], known) if len(parts) == 1 else ("any", (), known)
    inside = get_args(annotation)
    match get_origin(annotation) or annotation:
        case one if one is Literal:
            return "choice", (("", ""), *((str(choice), str(choice)) for choice in inside)), known
        case one if one is bool:
            return "choice", YES_NO, known
        case one if one in {int, float}:
            return "number", (), known
        case one if one is Mapping:
            return "lines", (), known
        case one if one is tuple and Ellipsis not in inside:
            return "pair", (), known
        case one if one is tuple:
            return ("points" if get_origin(inside[0]) is tuple else "list"), (), known
    return "text", (), known


def _usual(kind: Kind, value: Any) -> str:
    if value in {None, ""}:
        return ""
    if kind == "duration":
        return units.written(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


_APART = {"driver", "settings", "bus"}
"""Keys of a device that the form asks for in its own way."""


def device_fields(buses: Iterable[str]) -> Iterator[Field]:
    """Return those of any device, but its id, its channels and its driver's settings."""
    known = tuple((bus, bus) for bus in buses)
    bus = Device.model_fields["bus"]
    yield Field("bus", "choice", bus.title or "", required=True, choices=(*known, (NEW_BUS, "")))
    yield from (field for field in of_model(Device) if field.name not in _APART)


def bus_fields(above: str = "") -> Iterator[Field]:
    """Return those of a bus, but its id."""
    return of_model(Bus, above)


def channel_fields(quantity: Quantity, told: Mapping[str, Any]) -> Iterator[Field]:
    """Return those of a channel that mean something for its quantity, and those that its table has."""
    foreign = meaningless(quantity)
    for field in of_model(Channel):
        if field.name.partition(".")[0] not in foreign - told.keys() and field.name not in foreign:
            yield field


def alarm_fields(alarm: str, quantity: Quantity) -> Iterator[Field]:
    """Return those of one alarm of a channel."""
    foreign = {"above", "below", "hysteresis"} if quantity.kind == "state" else {"equals"}
    for field in of_model(Alarm):
        if field.name not in foreign:
            yield replace(field, name=f"alarm.{alarm}.{field.name}")


def settings_fields(name: str) -> Iterator[Field]:
    """Return those of a driver's settings.

    Raises:
        UnknownDriverError: there is no such driver, or it cannot be used.
    """
    driver = registry.load(name)
    schema = driver.settings.model_json_schema()
    for key, facts in schema.get("properties", {}).items():
        field = _of_schema(f"settings.{key}", facts, schema.get("$defs", {}))
        profiles = models(name) if key == "profile" else ()
        if profiles:
            choices = (("", ""), *profiles)
            field = replace(field, kind="choice", choices=choices)
        told = driver.settings.model_fields.get(key)
        label = (told.title if told else None) or _LABELS.get(key) or key.replace("_", " ").capitalize()
        yield replace(field, label=label, required=key in schema.get("required", ()))


_LABELS = {"profile": "Model", "address": "Address", "bindkey": "Key"}


def _of_schema(name: str, facts: Mapping[str, Any], definitions: Mapping[str, Any]) -> Field:
    kinds = [kind for kind in facts.get("anyOf", ()) if kind.get("type") != "null"]
    inner = kinds[0] if kinds else facts
    if reference := inner.get("$ref", ""):
        inner = definitions.get(reference.rpartition("/")[2], {})
    default = facts.get("default")
    field = Field(
        name,
        help=facts.get("description", ""),
        default="" if default in (None, "", [], {}) else _usual("text", default),
    )
    if "enum" in inner:
        choices = (("", ""), *((str(one), str(one)) for one in inner["enum"]))
        return replace(field, kind="choice", choices=choices, whole=inner.get("type") == "integer")
    if inner.get("type") == "boolean":
        return replace(field, kind="choice", choices=YES_NO)
    kind = "secret" if inner.get("format") == "password" else _KINDS.get(inner.get("type", ""), "text")
    low, high = (next((inner[key] for key in keys if key in inner), None) for keys in _BOUNDS)
    above = "> " if "exclusiveMinimum" in inner else ""
    said = "" if low is None or high is None else f"{above}{low:.9g} … {high:.9g}"
    return replace(field, kind=kind, range=said)


_KINDS: Mapping[str, Kind] = {"integer": "number", "number": "number", "array": "list", "object": "lines"}


def models(name: str) -> tuple[tuple[str, str], ...]:
    """Return the profiles of a driver, each with what people call its device; none for a driver without."""
    try:
        return tuple((profile, _title(name, profile)) for profile in find_profiles(name))
    except ProfileError:
        return ()


def _title(driver: str, profile: str) -> str:
    try:
        return profile_title(driver, profile)
    except ValueError:  # a broken one: choosing it says what is wrong
        return profile
