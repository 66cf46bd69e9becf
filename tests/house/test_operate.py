"""docs/operate.md explains each line of the log and each problem that the agent tells, and no others."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operate.md").read_text("utf-8")

# Of an explained line, what is only an example in it.
_EXAMPLE = re.compile(
    r"^(?:outbox|console|uplink city|bus\[hci0\]): |^\w+://"  # others put these before it
    r"|\.\.\.(?:/status)?|/dev/ttyUSB0|meter-7|cabinet-a|hci0|city|[0-9]+ s|late|offline:|\(|\)|[:;\]] "
)
_LEAST = len("asks")  # letters that tell one line from another

# Raised for people at a verb of the command line, or between the agent's own parts; none of it is logged.
_NOT_SAID = {
    "edge_agent/console/form.py": "an answer to a browser",
    "edge_agent/outbox/copying.py": "of the verb restore",
    "edge_agent/outbox/readonly.py": "of the verb outbox",
    "edge_agent/uplink/probe.py": "of the verbs doctor and init",
    "edge_agent/agent/buses.py": "is told to the one who asked, and explained with the lending",
}
_NOT_LINES = {
    "is not as it was written": "why a row is damaged: the log says that the file is",
    "of a stream are not there": "the same",
    "rows up to \0 cannot be reached": "the same",
    "outbox: \0; \0 readings wait in memory": "puts together what others say",
    "console: \0": "the same",
    "console: \0://\0": "says where the page is, and nothing else",
    "uplink \0: \0": "the same",
    "outbox: \0; \0 waits until it can be written": "the same",
    "\0; nothing is given up": "the same",
    "the broker does not speak this MQTT version": "3.1.1 is tried then, and that is told",
    "starting": "of the first moments, and of a status only",
    "dialout": "is no sentence",
    "user \0": "the same",
    "bus[\0]: \0": "puts together what others say",
    "not connected yet": "of the first moments, and of a status only",
    "is closed; nothing asks it until the agent opens the bus anew": "of an end or a reload",
}
_ROOMS = ("demo", "cli", "onsite", "doctor", "diagnostics", "consume")
_RAISED = {
    "BusError",
    "DamagedError",
    "DiskError",
    "OutboxError",
    "ReadOnlyError",
    "SessionError",
    "UsersError",
}
_WORDED_IN = {"board.py", "refusals.py", "remedy.py", "status.py", "tls.py"}  # they return what others say


def explained() -> list[str]:
    """Return each line in the first column of the page's tables, as it is written there."""
    cells = re.findall(r"^\| (`[^|]+`) \|[^|]*\|[^|]*\|$", TEXT, re.MULTILINE)
    return [line for cell in cells for line in re.findall(r"`([^`]+)`", cell)]


def pieces(line: str) -> list[str]:
    """Return what of a line is no example."""
    return [piece for part in _EXAMPLE.split(line) if len(piece := part.strip(" ,:;")) >= _LEAST]


def longest(line: str) -> str:
    """Return the longest piece of a line, by which it is known."""
    return max(pieces(line), key=len, default="")


def explains(line: str, text: str) -> bool:
    """Say whether a line of the page is this one of the code: all its pieces stand there, in this order."""
    return re.search(".*".join(map(re.escape, pieces(line))), text, re.DOTALL) is not None


def worded(node: ast.expr | None) -> str:
    """Return a text as the code has it; each value in it is a NUL."""
    match node:
        case ast.Constant(value=str(text)):
            return re.sub(r"%[-0-9.]*[a-z]", "\0", text)
        case ast.JoinedStr(values=parts):
            return "".join(worded(part) or "\0" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return worded(left) + worded(right)
        case _:
            return ""


def said(tree: ast.Module, *, returns: bool = False) -> Iterator[str]:
    """Return what a module may say: in the log, as a problem, or in an error that ends in one."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="log" | "_log"), attr="info" | "warning" | "error" | "exception"
                ),
                args=[first, *_],
            ):
                yield worded(first)
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in _RAISED:
                yield worded(first)
            case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
                if "problem" in name.lower() or name == "_READ_ONLY":
                    yield worded(value)
            case ast.Return(value=value) | ast.Yield(value=value) if returns:
                yield worded(value)


@cache
def modules() -> Mapping[str, ast.Module]:
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted((ROOT / "edge_agent").rglob("*.py"))
    }


def lines() -> Iterator[tuple[str, str]]:
    """Return all that the running agent may say, and where."""
    for name, tree in modules().items():
        if name in _NOT_SAID or name.split("/")[1] in _ROOMS:
            continue
        for text in said(tree, returns=name.rpartition("/")[2] in _WORDED_IN):
            # the short ones only put together what others say
            if len(max(text.split("\0"), key=len).strip(" :;.,")) >= _LEAST:
                yield name, text


def test_all_that_the_agent_says_is_explained() -> None:
    rows = explained()
    unexplained = [
        f"{name}: {text.replace(chr(0), '...')}"
        for name, text in lines()
        if not text.endswith(tuple(_NOT_LINES)) and not any(explains(row, text) for row in rows)
    ]
    assert unexplained == [], "give each a row in docs/operate.md: what it means, and what to do"


def test_what_is_explained_is_what_the_agent_says() -> None:
    """Of each line that is explained, its longest piece without an example's values stands in the code."""
    code = "".join(path.read_text("utf-8") for path in ROOT.glob("edge_agent/**/*.py"))
    code = re.sub(r'"\s+f?"', "", re.sub(r'"\s*f?"', "", code))
    rows = explained()
    assert len(rows) > 80
    assert [row for row in rows if len(longest(row)) < _LEAST or longest(row) not in code] == []


def test_the_exceptions_are_there() -> None:
    everything = tuple(text for tree in modules().values() for text in said(tree, returns=True))
    assert [name for name in _NOT_SAID if not (ROOT / name).is_file()] == []
    assert [end for end in _NOT_LINES if not any(text.endswith(end) for text in everything)] == []


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('log.warning("%s: all is %s", a, b)', "\0: all is \0"),
        ('raise BusError(f"{a} is" " gone")', "\0 is gone"),
        ('self.problem = f"no {a}"', "no \0"),
        ('log.info("%s is back", a)', "\0 is back"),
        ('log.debug("%s is back", a)', None),
    ],
)
def test_the_search_finds_what_is_said(code: str, told: str | None) -> None:
    assert list(said(ast.parse(code))) == ([] if told is None else [told])
