"""docs/reliability.md: the counts of all scenarios, as a page that a person can read."""

import re
from collections import defaultdict
from collections.abc import Iterable

Row = tuple[str, str, str, str, float]
"""A scenario, what happened, its counts as ``key value, key value``, its outcome, and its duration in s."""

_SEED = re.compile(r", seed \d+$")
_COUNT = re.compile(r"^(\w+) (\d+)$")
_ALWAYS = {"read", "kept", "delivered", "missing"}
_NO_SUM = {"epochs"}

_PAGE = """\
# What was broken on purpose, and what arrived

Written by the scenarios in `tests/faults` ({origin}.
Real processes, a real mosquitto, real SQLite files; the numbers count readings. `make soak` repeats them.

A scenario fails unless *missing*, *twice*, *invented* and *conflicts* are 0. Of counts that are 0 only
*missing* is shown.

| count | means |
| --- | --- |
| read | at most so many were read from the devices |
| kept | numbers that the outbox gave |
| delivered | kept ones that arrived at a subscriber at least once |
| duplicates | arrived again with the same identity |
| declared | given up, and named in the loss ledger, with the reason in `reasons` |
| missing | kept, and neither delivered nor declared |
| unkept | read, and not delivered: declared, or in a destroyed part of the file (then `open_ended`) |
| excused | read less than `outbox.window` (1 s) before a SIGKILL, and not kept |
| open_ended | declared losses whose last number is unknown |
| twice, invented | one reading under two identities; delivered and never read |
| conflicts | one identity with two contents |

| scenario | what happened | counts | took | result |
|---|---|---|---|---|
{table}
"""


def page(rows: Iterable[Row], origin: str) -> str:
    """Return the page. ``origin`` says which forms ran, when and where."""
    table = "\n".join(
        f"| {name} | {title} | {_shown(told)} | {took:.0f} s | {outcome} |"
        for name, title, told, outcome, took in merged(rows)
    )
    return _PAGE.format(origin=origin, table=table)


def merged(rows: Iterable[Row]) -> list[Row]:
    """Add up rows that differ in their seed alone."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[0], _SEED.sub("", row[1]), row[3]].append(row)
    return [
        (
            name,
            f"{title}, {len(group)} seeds",
            _sum([row[2] for row in group]),
            outcome,
            sum(row[4] for row in group),
        )
        if len(group) > 1
        else group[0]
        for (name, title, outcome), group in groups.items()
    ]


def _sum(told: list[str]) -> str:
    numbers: dict[str, int] = defaultdict(int)
    others: dict[str, None] = {}  # in order, each once
    for part in (part for one in told for part in one.split(", ")):
        found = _COUNT.match(part)
        if found and found[1] not in _NO_SUM:
            numbers[found[1]] += int(found[2])
        else:
            others[part] = None
    return ", ".join((*(f"{key} {number}" for key, number in numbers.items()), *others))


def _shown(told: str) -> str:
    return ", ".join(part for part in told.split(", ") if _says_something(part))


def _says_something(part: str) -> bool:
    key, _, value = part.partition(" ")
    return key in _ALWAYS or value.strip() not in {"", "0"}
