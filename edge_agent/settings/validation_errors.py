"""Turns pydantic's errors into findings: what is wrong and what to do, in the configuration's words."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError

from edge_agent.text.suggestion import did_you_mean

KeyPath = tuple[str | int, ...]


class Finding(NamedTuple):
    """One thing that is wrong, at a key path in the file.

    ``alone`` is the device that cannot run because of it, where all others can.
    """

    path: KeyPath
    wrong: str
    remedy: str
    alone: str = ""


def finding_of(path: KeyPath, message: object, remedy: str = "correct it") -> Finding:
    """Make a finding of an error message in which a semicolon stands before the remedy."""
    wrong, _, own_remedy = str(message).partition("; ")
    return Finding(path, wrong, own_remedy or remedy)


def taken_id(path: KeyPath) -> Finding:
    """Make the finding that an id is not free."""
    return Finding(path, "is taken: another one has this id", "write another one")


def near(wrong: str, known: Iterable[str], what: str) -> str:
    """Say which of the known names was meant, or which there are."""
    names = sorted(known)
    return did_you_mean(wrong, names, f"{what}: {', '.join(names)}" if names else f"{what}: none")


_LONGEST = 100
"""Letters of a key that are shown: what is wrong stands in the log and on MQTT, too."""


def dotted(path: KeyPath) -> str:
    """Write a key path as it is written in TOML; of a key that is too long, its beginning."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif len(step) > _LONGEST:
            text += ("." if text else "") + f'"{step[:_LONGEST]}..."'
        else:
            # JSON's escapes are a part of TOML's: a key has no line of its own in the log
            quoted = step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else json.dumps(step, ensure_ascii=False)
            text += ("." if text else "") + quoted
    return text


def findings(error: ValidationError, model: type[BaseModel], above: KeyPath = ()) -> Iterator[Finding]:
    """Word all that a model found wrong with the table at ``above``. No value of the file is shown."""
    errors = error.errors(include_url=False, include_input=False)
    places = [found["loc"] for found in errors]
    for found in errors:
        place = found["loc"]
        if found["type"] == "too_short" and any(
            len(other) > len(place) and other[: len(place)] == place for other in places
        ):
            continue  # short only because its entries were refused, which is said for each
        kind, context = found["type"], found.get("ctx", {})
        if kind == "value_error":
            path = tuple(step for step in place if step != "[key]")
            yield finding_of(above + path, context["error"])
        elif kind == "extra_forbidden":
            known = _keys(model, place[:-1])
            yield Finding(above + place, "is not a known key", near(str(place[-1]), known, "known here"))
        else:
            yield Finding(above + place, *_worded(kind, context, found["msg"], above + place))


_TYPES = {
    "string_type": ("is not text", "put it in quotes"),
    "float_type": ("is not a number", "write it without quotes"),
    "int_type": ("is not a whole number", "write it without quotes"),
    "float_parsing": ("is not a number", "write it without quotes"),
    "int_parsing": ("is not a whole number", "write it without quotes"),
    "int_from_float": ("is not a whole number", "write it without a fraction"),
    "finite_number": ("is not a number", "write a finite one"),
    "bool_type": ("is neither true nor false", "write one of them without quotes"),
    "bool_parsing": ("is neither true nor false", "write one of them without quotes"),
    "tuple_type": ("is not a list", "put it in [ ]"),
    "list_type": ("is not a list", "put it in [ ]"),
    "path_type": ("is not a path", "put it in quotes"),
}


def _worded(kind: str, context: Mapping[str, Any], message: str, place: KeyPath) -> tuple[str, str]:
    if kind in _TYPES:
        return _TYPES[kind]
    key = place[-1] if place else ""
    match kind:
        case "model_type" | "dict_type" | "mapping_type":
            answer = "is not a table", f"write {{ ... }} or give it lines of its own under [{key}]"
        case "missing" if place == ("config",):
            answer = "is missing", "write config = 1 in the first line"
        case "missing" if isinstance(key, str):
            answer = "is missing", _added(key, place[:-1])
        case "literal_error" | "enum":
            answer = "is not one of the choices", f"write {context['expected']}"
        case "too_long" | "string_too_long":
            answer = "is too long", f"at most {context['max_length']} are allowed"
        case "too_short" | "string_too_short" | "missing":
            answer = "is too short", f"at least {context.get('min_length', 'two')} are needed"
        case _:
            answer = "is not accepted", message[:1].lower() + message[1:]
    return answer


def _added(key: str, table: KeyPath) -> str:
    """Say where a key is to be added; the elements of a list have no heading of their own."""
    if not table:
        return f"add {key} = ... or its table"
    if any(isinstance(step, int) for step in table):
        return f"add {key} = ... to {dotted(table)}"
    return f"add {key} = ... to [{dotted(table)}]"


def _keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that a table inside a model may have; none if the path leads nowhere."""
    table: type[BaseModel] | None = model
    steps = iter(path)
    for step in steps:
        if isinstance(step, int):  # an element of a list: the field before it told of what
            continue
        field = table.model_fields.get(str(step)) if table else None
        if field is None:
            return []
        if get_origin(field.annotation) is Mapping:
            next(steps, None)
        table = table_in(field.annotation)
    return [field.alias or name for name, field in table.model_fields.items()] if table else []


def table_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a table that a key may have, None where it is a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((table for part in get_args(annotation) if (table := table_in(part))), None)
