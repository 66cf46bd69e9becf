"""What the brokers did, in numbers, at the end of the run."""

from collections.abc import Callable

import pytest

_PROPERTY = "interop"


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Have a line of numbers printed: ``record("nats, MQTT 3.1.1", kept=7)``."""

    def act(title: str, **numbers: object) -> None:
        told = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in numbers.items())
        record_property(_PROPERTY, f"{title}: {told}")

    return act


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        f"{value} ({report.duration:.0f} s)"
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    if lines:
        terminalreporter.section("interop")
        for line in lines:
            terminalreporter.line(line)
