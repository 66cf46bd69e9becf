"""Settings of a driver on the command line: ``--set KEY=VALUE``."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from edge_agent.driver import Settings
from edge_agent.onsite.toml_text import read_value


class UsageError(ValueError):
    """The command cannot be carried out as given. The message says what to give instead."""


def settings_of(name: str, model: type[Settings], told: dict[str, Any]) -> Settings:
    """Return a driver's settings.

    Raises:
        UsageError: they do not fit.
    """
    try:
        return model.model_validate(told)
    except ValidationError as error:
        raise UsageError(f"driver {name}: " + "; ".join(_wrong(model, error))) from None


def _wrong(model: type[Settings], error: ValidationError) -> Iterator[str]:
    known = ", ".join(model.model_fields) or "none"
    for problem in error.errors(include_url=False):
        key = ".".join(map(str, problem["loc"]))
        match problem["type"]:
            case "missing":
                yield f"setting {key!r} is missing; give it with --set {key}=VALUE"
            case "extra_forbidden":
                yield f"there is no setting {key!r}; there are: {known}"
            case "string_type":
                yield f"setting {key!r} is not text; put it in quotes: --set '{key}=\"...\"'"
            case "value_error":  # ours: it says all, and no more than may be said of a secret
                yield f"setting {key!r} {problem['ctx']['error']}"
            case _:
                yield f"setting {key!r}, {problem['input']!r}: {problem['msg']}"


def pairs(texts: list[str]) -> dict[str, Any]:
    """Read the ``--set KEY=VALUE`` of a command line.

    Raises:
        ValueError: one of them is none.
    """
    return {key: read_value(value) for key, value in (split("--set", "KEY=VALUE", text) for text in texts)}


def split(option: str, form: str, text: str) -> tuple[str, str]:
    """Read ``KEY=VALUE``.

    Raises:
        UsageError: it is none.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"{option} {text!r} is not {form}")
    return key.strip(), value.strip()
