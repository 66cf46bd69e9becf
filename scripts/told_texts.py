"""What the agent says in English first: problems, findings, errors. text/translation.py translates them."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from edge_agent.status import Availability

_WORD = re.compile(r"[A-Za-z]{3,}")
_ALL_OF = (
    "settings",
    "doctor",
    "status.py",
    "board.py",
    "text/suggestion.py",
    "cli/profile_trial.py",
    "collect/device.py",
    "control/happened.py",
    "onsite/scan.py",
    "uplink/refusals.py",
    "uplink/session_error.py",
)
"""Where nearly each text with a space in it is one."""

_ERRORS_OF = (
    "cli",
    "onsite",
    "bus",
    "collect",
    "driver_kit/bindkey.py",
    "agent/buses.py",
    "../drivers",
    "uplink/mqtt.py",
    "uplink/tls.py",
    "console/gone.py",
    "control/client.py",
    "control/recent_log.py",
    "control/protocol.py",
    "control/scan.py",
    "outbox/store.py",
    "registry.py",
    "agent/supervisor.py",
    "reconfiguration/reload_result.py",
)
"""Where those are that are raised, or end a verb."""

_NOT_SAID = frozenset(
    {
        *("compile", "pattern", "cast", "removeprefix"),
        *("info", "warning", "error", "debug"),  # of the log
        *("tr", "plural"),  # is said once
    }
)
_HEADINGS = frozenset({"Group", "ok", "warn", "fail"})
"""Calls of doctor's in which a single word is said, too."""


def told_texts(source: Path) -> Iterator[str]:
    """Return each, with its values in braces."""
    yield from get_args(Availability)
    for name, whole in (*((name, True) for name in _ALL_OF), *((name, False) for name in _ERRORS_OF)):
        place = source / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            tree = ast.parse(file.read_text("utf-8"))
            yield from _within(tree, _docstrings(tree), said=whole)


def _docstrings(tree: ast.AST) -> set[ast.AST]:
    found = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return {value for value in found if isinstance(value, ast.Constant)}


def _within(node: ast.AST, docstrings: set[ast.AST], *, said: bool) -> Iterator[str]:
    name = _called(node)
    if node in docstrings or name in _NOT_SAID:
        return
    if isinstance(node, ast.JoinedStr):
        below: Iterable[ast.AST] = (
            part.value for part in node.values if isinstance(part, ast.FormattedValue)
        )
        if said:
            yield from _lines(form(node))
    else:
        below = ast.iter_child_nodes(node)
        if said:
            yield from _plain(node, name)
    said = said or isinstance(node, ast.Raise) or name == "stop" or name.endswith("Error")
    for inner in below:
        yield from _within(inner, docstrings, said=said)


def _called(node: ast.AST) -> str:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) | ast.keyword(arg=str(name)):
            return name
        case _:
            return ""


def _plain(node: ast.AST, called: str) -> Iterator[str]:
    if isinstance(node, ast.keyword) and node.arg == "title" and isinstance(node.value, ast.Constant):
        yield str(node.value.value)
    if called in _HEADINGS and isinstance(node, ast.Call):
        words = (arg.value for arg in node.args if isinstance(arg, ast.Constant))
        yield from (str(word) for word in words if re.fullmatch("[a-z]{3,}", str(word)))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _lines(_escaped(node.value))


def _lines(text: str) -> Iterator[str]:
    """Return those lines of a text that say something by themselves."""
    for line in text.split("\n"):
        if " " in line.strip() and _WORD.search(re.sub(r"\{.*?\}", "", line)):
            yield line.strip(" :")


def form(text: ast.JoinedStr) -> str:
    """Return an f-string with its values named in braces, each by what it is called in the code."""
    made, names = "", dict[str, str]()
    for part in text.values:
        if isinstance(part, ast.Constant):
            made += _escaped(str(part.value))
        elif isinstance(part, ast.FormattedValue):
            wanted = name = _name(part.value)
            while names.setdefault(name, ast.dump(part.value)) != ast.dump(part.value):
                name = f"{wanted}_{len(names) + 1}"
            made += f"{{{name}}}"
    return made


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _name(value: ast.expr) -> str:  # noqa: PLR0911 - one for each shape
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").lower()
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return re.sub(r"\W", "_", key)
        case ast.Call(func=ast.Name(id="len")):
            return "number"
        case ast.Call(args=[first, *_]):
            return _name(first)
        case ast.Call(func=inner) | ast.Subscript(value=inner) | ast.BinOp(left=inner):
            return _name(inner)
        case ast.BoolOp(values=[first, *_]) | ast.IfExp(body=first) | ast.GeneratorExp(elt=first):
            return _name(first)
        case _:
            return "value"
