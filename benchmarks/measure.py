"""How the benchmarks repeat, tell and print."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

FOLDER = os.environ.get("BENCH_DIR")
"""Where files are made: a folder on the disk that is to be measured; without it, where temporary files go."""

Told = dict[str, Any]

_VARIABLE = re.compile(r"^Environment=(\w+)=(\S+)$", re.MULTILINE)
_MOST_TRIES = 3
_BUSY = 1.0  # processes that ran in the last minute, on average, beside what is measured
_WITHIN_S = 120


class Table:
    """Prints a Markdown table, row by row as it comes."""

    def __init__(self, *heads: str) -> None:
        self._print(heads)
        self._print("---:" for _ in heads)

    def row(self, *cells: object) -> None:
        self._print(cells)

    def _print(self, cells: Any) -> None:
        print("|", " | ".join(map(str, cells)), "|", flush=True)


def tell(told: Told) -> None:
    """Hand a result to the process that asked for it."""
    print(json.dumps(told))


def ask(module: str, *arguments: object) -> Told:
    """Run a benchmark's case in a process of its own, started with the service's variables."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    variables = os.environ | set_by_systemd()
    said = subprocess.run(
        command, env=variables, check=True, stdout=subprocess.PIPE, timeout=_WITHIN_S
    ).stdout
    told: Told = json.loads(said.splitlines()[-1])
    return told


def best(module: str, *arguments: object, by: Callable[[Told], float]) -> Told:
    """Return the better of up to three runs; one is enough where nothing else was running."""
    found: list[Told] = []
    for tries in count(1):
        found.append(ask(module, *arguments))
        if tries == _MOST_TRIES or os.getloadavg()[0] < _BUSY:
            return max(found, key=by)
    raise AssertionError


def set_by_systemd() -> dict[str, str]:
    """Return the variables that the service is started with."""
    unit = (Path(__file__).parents[1] / "systemd" / "edge-agent.service").read_text("utf-8")
    return dict(_VARIABLE.findall(unit))


def rss(pid: int | str = "self", kind: str = "VmRSS") -> float:
    """Return a process's resident memory in MB: all of it, or a kind of it."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if kind in line)
    return int(line.split()[1]) * 1024 / 1e6
