"""What the scenarios share: a rig or gateways alone; long forms apart; one table of counts.

``pytest -m soak tests/faults`` runs everything here. The counts of every scenario stand at the end of the
run, and with ``EDGE_AGENT_RELIABILITY=docs/reliability.md`` in that file.
"""

import os
import platform
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.page import page
from tests.faults.rig import Gateways, Record, Rig, standing
from tests.faults.witness import Counts

_HERE = Path(__file__).parent
_PROPERTY = "counts"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "soak" in config.option.markexpr:
        for item in items:
            if item.path.is_relative_to(_HERE):
                item.add_marker("soak")  # the table of a soak has every scenario


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Record:
    """Print counts, and put them in the table: ``record("C1", "what happened", counts, more=1)``."""

    def act(name: str, title: str, counts: Counts | None = None, **more: object) -> None:
        numbers = {**(asdict(counts) if counts else {}), **more}
        told = ", ".join(f"{key} {value}" for key, value in numbers.items())
        print(f"{name} {title}: {told}")  # noqa: T201 - the scenario's result
        record_property(_PROPERTY, [name, title, told])

    return act


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        (*value, report.outcome, report.duration)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if "tests/faults/" in report.nodeid and report.when == "call"
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    if not rows:
        return
    rows.sort(key=lambda row: (int("".join(filter(str.isdigit, row[0])) or 0), row[0], row[1]))
    terminalreporter.section("faults")
    for name, title, told, outcome, duration in rows:
        terminalreporter.line(f"{name} {title} ({duration:.0f} s, {outcome}): {told}")
    target = os.environ.get("EDGE_AGENT_RELIABILITY")
    if target:
        forms = "short and long forms" if "soak" in terminalreporter.config.option.markexpr else "short only"
        Path(target).write_text(page(rows, _origin(forms)), "utf-8")


def _origin(forms: str) -> str:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return f"{forms}) on {time.strftime('%Y-%m-%d')}, {machine}"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A broker that queues without limit, a link, a witness, and gateways."""
    async with standing(tmp_path) as made:
        yield made


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Gateways]:
    """Gateways alone, for a broker that the test brings."""
    made = Gateways(tmp_path)
    yield made
    await made.close()
