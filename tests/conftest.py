"""Where CI is set, a test that was skipped has failed: nothing passes by not being run. Long forms wait.

The agents that tests start are asked at a place of their own, not at that of a service on this machine.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Generator
from typing import TypeVar

import hypothesis
import pytest

os.environ["LANGUAGE"] = "en"  # tests look for English, whatever the language of who runs them

from tests.bluez import bluez, private_bus, sensor

__all__ = ["bluez", "private_bus", "sensor"]  # fixtures of several rooms

# How fast this machine is says nothing about what is tested; and a suite that fails says something about the
# change, not about new examples: those are looked for by `make soak`.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    derandomize="EDGE_AGENT_EXPLORE" not in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")

_APART = {
    "soak": "a long form",
    "interop": "with brokers and consumers of others",
    "package": "with venvs and a Debian",
}
_LINE = 400
R = TypeVar("R", pytest.TestReport, pytest.CollectReport)


def pytest_configure(config: pytest.Config) -> None:
    """Declare what marks a long form, and give the agents of this process a place to be asked at."""
    runtime = tempfile.mkdtemp(prefix="edge-agent-")
    atexit.register(shutil.rmtree, runtime, ignore_errors=True)
    os.environ["EDGE_AGENT_SOCKET"] = f"{runtime}/control.sock"
    for marker, what in _APART.items():
        config.addinivalue_line("markers", f"{marker}: {what}, which only `pytest -m {marker}` runs")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is apart, unless it is asked for."""
    for marker in _APART:
        if marker not in config.option.markexpr:
            apart = [item for item in items if item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=apart)
            items[:] = [item for item in items if not item.get_closest_marker(marker)]


def _failed_if_skipped(report: R) -> R:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed in CI: {report.longrepr}"
    return report


def _in_one_line(report: R) -> R:
    """Shorten what the summary says of a failure, which in CI is not cut, to its beginning and its end."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        said = " ".join(crash.message.split())
        crash.message = said if len(said) <= _LINE else f"{said[: _LINE // 2]} ... {said[-_LINE // 2 :]}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge a test."""
    return _in_one_line(_failed_if_skipped((yield)))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judge a module, which may skip as a whole."""
    return _failed_if_skipped((yield))
