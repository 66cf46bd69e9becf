"""Run all benchmarks and print their tables; with ``--write`` put them into docs/performance.md, too.

``python -m benchmarks.tables``, or ``make bench``. A table stands between a comment with its benchmark's name
and one that ends it; all that is said around it stays as it is.
"""

import os
import platform
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_NAMES = ("pipeline", "outbox", "written", "backlog", "idle", "console", "past", "bus", "ble")
_WITHIN_S = 600


def machine() -> str:
    """Say when and on what kind of machine this was measured."""
    load = os.getloadavg()[0]
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}; {platform.machine()}, {os.cpu_count()} cores, "
        f"Linux {platform.release()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; "
        f"load when it began {load:.1f}; `python -m benchmarks."
    )


def measured(name: str) -> str:
    """Run a benchmark; show and return what it prints."""
    head = f"{machine()}{name}`"
    print(f"\n{head}\n", flush=True)
    lines = []
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    # With it each process would compile all modules anew, as no installed agent does.
    compiled = {key: to for key, to in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(command, env=compiled, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        if running.wait(_WITHIN_S) != 0:
            sys.exit(f"{name} failed")
    return f"{head}\n\n{''.join(lines).rstrip()}\n"


def put(page: str, name: str, table: str) -> str:
    """Return the page with a new table."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    made, places = between.subn(lambda found: f"{found[1]}{table}{found[2]}", page)
    if places != 1:
        sys.exit(f"{_PAGE.name} has no place for {name}; write <!-- {name} --> and <!-- end --> around one")
    return made


def main() -> None:
    write = "--write" in sys.argv
    for name in [one for one in sys.argv[1:] if one != "--write"] or _NAMES:
        table = measured(name)
        if write:
            _PAGE.write_text(put(_PAGE.read_text("utf-8"), name, table), "utf-8")


if __name__ == "__main__":
    main()
