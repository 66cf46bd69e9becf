"""docs/security.md says what the code does: each figure of it stands there, too."""

import re
from pathlib import Path
from typing import get_args

import pytest

from edge_agent.bus import modbus
from edge_agent.control.verbs import VERBS
from edge_agent.driver import Read, Table

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs" / "security.md").read_text("utf-8").split())


@pytest.mark.parametrize(
    ("module", "code", "told"),
    [
        ("control/server.py", "_MODE = 0o660", "`/run/edge-agent/control.sock` (mode 0660,"),
        ("control/server.py", "_MOST_CLIENTS = 16", "16 programs at once"),
        ("control/server.py", "_IDLE_S = 60.0", "a minute of silence ends one"),
        ("control/protocol.py", "LEASE_S = 600", "lent for at most 10 min"),
        ("console/users.py", "SHORTEST = 10", "passwords of 10 letters and more"),
        ("console/users.py", "0o600", "`console.json` beside the outbox (mode 0600)"),
        (
            "console/sessions.py",
            "_CODE_S = 3600.0",
            "with a code that stands in the log, once, within an hour",
        ),
        (
            "console/tries.py",
            "_TRIES, _WITHIN_S, _THEN_EACH_S = 5, 300.0, 60.0",
            "Five wrong passwords in five minutes, then one a minute",
        ),
        ("console/tries.py", "_ALL_TRIES, _ALL_EACH_S = 30, 10.0", "thirty, and then one in ten seconds"),
        ("console/sessions.py", "_IDLE_S = 12 * 3600.0", "12 hours without use"),
        ("console/sessions.py", "_LONGEST_S = 7 * 24 * 3600.0", "a week at most"),
        ("console/sessions.py", "_MOST, _MOST_OF_ONE = 50, 10", "50 in all, 10 of a user"),
        ("console/audit.py", "_LARGEST = 1_000_000", "a file of 1 MB and the one before it"),
        ("console/guests.py", "_MOST = 40", "At most 40 connections"),
        ("console/guests.py", "_MOST_STRANGERS = 16", "16 of a machine that are not logged in"),
        ("console/form.py", "_LARGEST = 65_536", "Forms of 64 kB"),
        ("console/connections.py", "_REQUEST_S = 10.0", "10 s for a request"),
        ("console/login.py", 'samesite="strict"', "SameSite=Strict"),
        ("uplink/tls.py", "TLSVersion.TLSv1_2", "TLS 1.2 or newer"),
    ],
)
def test_a_figure_is_the_codes(module: str, code: str, told: str) -> None:
    assert code in (ROOT / "edge_agent" / module).read_text("utf-8"), f"{told}: docs/security.md"
    assert told in PAGE


def test_no_function_but_those_that_read_can_be_sent() -> None:
    assert "only the functions 01 to 04 can be sent" in PAGE
    asked = [modbus.asking(Read(7, table, 0, 1)) for table in get_args(Table)]
    assert sorted(request[1] for request in asked) == [1, 2, 3, 4]


def test_all_that_can_be_asked_over_the_socket_is_told() -> None:
    said = PAGE.partition("Over the socket go")[2].partition("The console:")[0]
    assert set(re.findall(r"`([a-z_]+)`", said)) == set(VERBS)


def test_the_unit_is_as_exposed_as_the_page_says() -> None:
    unit_test = (ROOT / "tests" / "house" / "test_unit.py").read_text("utf-8")
    (most,) = re.findall(r"^EXPOSED = ([0-9.]+)", unit_test, re.MULTILINE)
    assert f"says {most} of 10" in PAGE
