"""Values and ids as they are written in a configuration file, and read on a command line."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any


def value(told: Any) -> str:
    """Write a TOML value; JSON's strings, numbers and booleans are TOML's, too."""
    match told:
        case Mapping():
            return "{ " + ", ".join(f"{key} = {value(inner)}" for key, inner in told.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(value, told)) + "]"
        case _:
            return json.dumps(told, ensure_ascii=False)


def read_value(text: str) -> Any:
    """Read a value as in a configuration file; what is not TOML is a plain string."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):  # the latter: thousands of brackets
        return text
    return parsed["value"] if len(parsed) == 1 else text


def id_of(text: str, otherwise: str) -> str:
    """Return an id made of a name, with something else where nothing of the name can stand."""
    return (
        re.sub(r"[^a-z0-9_-]+", "-", text.lower()).replace("_", "-").strip("-")[:40].strip("-") or otherwise
    )
