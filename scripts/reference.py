"""Write docs/reference.md: every key of the configuration, and every quantity with its unit.

The models have types and which keys are required; config/agent.toml has what a key means and its default, and
a test holds one against the other. ``python scripts/reference.py > docs/reference.md``.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge_agent.quantity import Quantity
from edge_agent.settings import units
from edge_agent.settings.model import Config
from edge_agent.settings.validation_errors import table_in

ROOT = Path(__file__).parents[1]
_LINE = re.compile(
    r"#?(?:\[(?P<table>[^\]]+)\]|(?P<key>[a-z][\w.-]*) = (?P<value>.*?))(?:\s+# (?P<said>.*))?"
)
_KINDS: Mapping[Any, str] = {
    units.duration: "duration",
    units.size: "size",
    units.readings: "number of readings",
}
_PLAIN: Mapping[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Path: "full path",
    tuple: "list",
    Mapping: "table",
}
_BY_ID = ("uplink", "bus", "device")

_QUANTITIES = """
## Quantities

What a channel can measure, and the one unit of each, as a UCUM code. A profile's `scale` and a driver's
`decode` bring what a device says to it; beyond its bounds a value is marked `suspect`.

| quantity | unit | means | bounds | kind |
| --- | --- | --- | --- | --- |
"""

_HEAD = """\
# Every key of the configuration, and every quantity

Written from the models and from [config/agent.toml](../config/agent.toml) by `make pages`.
[configure.md](configure.md) says where the files are and how they are applied. `*` stands for an id, which is
free. A duration is written with `ms`, `s`, `m`, `h` or `d`, a size with `KB`, `MB`, `GB`, `KiB`, `MiB` or
`GiB`, both in quotes. A key that is not listed here is refused. The keys of `device.*.settings` are the
driver's: [devices.md](devices.md) leads to each driver's page.
"""


class Key(NamedTuple):
    """One line of the page."""

    path: str
    kind: str
    default: str
    said: str


def keys() -> Iterator[Key]:
    """Return all keys, in the order of the models."""
    shown: dict[str, tuple[str, str]] = {}
    for path, told in _shown((ROOT / "config" / "agent.toml").read_text("utf-8")):
        if path not in shown or not shown[path][1]:  # of several the first that says something
            shown[path] = told
    for path, field in _fields(Config):
        value, said = shown.get(path, ("", ""))
        example = (
            field.default in {None, ""} if isinstance(field.default, str | None) else field.default_factory
        )
        default = "required" if field.is_required() else "" if example else value
        yield Key(path, _kind(field.annotation, field.metadata), default, said)


def page() -> str:
    """Return the whole page."""
    lines = [_HEAD]
    table = ""
    for key in keys():
        above = key.path.partition(".")[0] if "." in key.path else "config"
        if above != table:
            table = above
            name = f"{table}.*" if table in _BY_ID else table
            lines += [f"\n## {name}\n", "| key | type | default | meaning |", "| --- | --- | --- | --- |"]
        default = f"`{key.default}`" if key.default not in {"", "required"} else key.default
        cells = (f"`{key.path}`", key.kind, default, key.said)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n" + _QUANTITIES + "".join(map(_row, Quantity))


def _row(quantity: Quantity) -> str:
    low, high = ("" if bound is None else f"{bound:,.10g}" for bound in (quantity.low, quantity.high))
    bounds = f"{low or 'any'} to {high or 'any'}" if low or high else ""
    return f"| `{quantity}` | {quantity.unit} | {quantity.label} | {bounds} | {quantity.kind} |\n"


def _shown(text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Return each key that the file shows, with its value and its meaning."""
    table = ""
    for line in text.splitlines():
        if (found := _LINE.fullmatch(line)) is None:
            continue
        if found["table"]:
            table = found["table"] + "."
            continue
        path = re.sub(r"^(uplink|bus|device)\.[^.]+", r"\1.*", table + found["key"])
        path = re.sub(r"\.(channel|alarm)\.[^.]+", r".\1.*", path)
        value, said = found["value"], found["said"] or ""
        inner = re.findall(r"(\w+) = ([^,{}\[\]]+|\[[^\]]*\])", value) if value.startswith("{") else []
        for key, one in inner:
            yield f"{path}.{key}", (one.strip(), said)
        yield path, (value, said)


def _fields(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        path = f"{above}{field.alias or name}"
        inner = table_in(field.annotation)
        if inner is None:
            yield path, field
        else:
            yield from _fields(inner, f"{path}.*." if get_origin(field.annotation) is Mapping else f"{path}.")


def _kind(annotation: Any, metadata: list[Any]) -> str:
    for one in metadata:
        if (kind := _KINDS.get(getattr(one, "func", None))) is not None:
            return kind
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inside)
    if (plain := _PLAIN.get(origin or annotation)) is not None:
        return plain
    for part in inside:  # one of several, or with what must hold
        if part is not type(None):
            return _kind(part, list(getattr(part, "__metadata__", ())))
    return "text or a secret" if getattr(annotation, "__name__", "") == "SecretStr" else "text"


if __name__ == "__main__":
    sys.stdout.write(page())
