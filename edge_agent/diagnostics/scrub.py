"""Take secrets out: by what they are called, by what they look like, and by what they are. Pure."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

GONE = "(removed)"
_CALLED = re.compile(
    r"pass(word|phrase|wd)?|secret|token|credential|bindkey|psk|(^|_)(api|private)?key$", re.IGNORECASE
)
_PATHS = {"key"}  # of an uplink: where a key is, which is no secret
_SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(?<=://)[^/@\s\"']+@"),
    re.compile(
        r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}[:\s-]?){15}[0-9A-Fa-f]{2}(?![0-9A-Za-z])"
    ),  # keys of 16 bytes
    re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),  # a JSON web token
)
_SAID = re.compile(
    r"(pass(?:word|wd|phrase)|bindkey|token)(\s*[=:]\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;}\"'{]+)", re.IGNORECASE
)
_SHORT = 6


class Scrub:
    """Takes out these values wherever they stand, and all that looks like a secret."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = ((value, quote(value, safe=""), _escaped(value)) for value in values if value)
        known = sorted({form for each in forms for form in each}, key=len, reverse=True)
        # what is short may be a piece of a word, which would say more about it than it hides
        pieces = [
            re.escape(one) if len(one) >= _SHORT else rf"(?<!\w){re.escape(one)}(?!\w)" for one in known
        ]
        self._known = re.compile("|".join(pieces)) if pieces else None

    def text(self, text: str, *, prose: bool = True) -> str:
        """Return a text without them. ``prose``: it may say ``password = ...`` anywhere, as a log may."""
        if self._known is not None:
            text = self._known.sub(GONE, text)
        for shape in _SHAPES:
            text = shape.sub(GONE, text)
        return _SAID.sub(rf"\1\2{GONE}", text) if prose else text


def without_secrets(table: Any) -> Any:
    """Return a parsed configuration without what its keys call a secret. Names of secrets stay."""
    match table:
        case {"secret": str()} if len(table) == 1:
            return table
        case dict():
            return {key: _value(key, inner) for key, inner in table.items()}
        case list():
            return [without_secrets(inner) for inner in table]
        case _:
            return table


def values_called_secret(table: Any) -> Iterable[str]:
    """Return the secrets that stand in a parsed configuration itself."""
    match table:
        case {"secret": str()} if len(table) == 1:
            return
        case dict():
            for key, inner in table.items():
                if isinstance(inner, str) and _is_secret(key, inner):
                    yield inner
                else:
                    yield from values_called_secret(inner)
        case list():
            for inner in table:
                yield from values_called_secret(inner)


def _value(key: str, inner: Any) -> Any:
    return GONE if isinstance(inner, str | int) and _is_secret(key, inner) else without_secrets(inner)


def _is_secret(key: str, inner: Any) -> bool:
    is_path = key in _PATHS and isinstance(inner, str) and inner.startswith("/")
    return bool(_CALLED.search(key)) and not is_path and not isinstance(inner, bool)


def called_secret(name: str) -> bool:
    """Say whether a name, such as a variable's, is that of a secret."""
    return bool(_CALLED.search(name))


def _escaped(value: str) -> str:
    """Write it as JSON has it inside of quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"')
