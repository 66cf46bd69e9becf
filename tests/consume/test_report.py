"""What the live table shows, and what a report says."""

import json

from rich.console import Console

from edge_agent.consume import report
from edge_agent.contract.examples import EXAMPLES
from edge_agent.contract.follow import Follower
from tests.contract.told import NOW, data, status, topic

EVENT = EXAMPLES["event"]["offline"]


def _shown(follower: Follower, rows: int, *, judged: bool) -> str:
    console = Console(width=120, height=20, force_terminal=False)
    with console.capture() as captured:
        console.print(report.screen(follower, None, NOW, "connection lost", rows, judged=judged))
    return captured.get()


def _follower() -> Follower:
    follower = Follower()
    for device in ("a", "b", "c"):
        follower.hear(topic("data", device), data([1], 0, device=device), NOW)
    follower.hear(topic("data", "c"), data([9], 4, device="c"), NOW)
    follower.hear(topic("status"), status("offline", 1), NOW)
    follower.hear(topic("event", "a"), json.dumps(EVENT | {"device": "a"}).encode(), NOW)
    return follower


def test_the_worst_comes_first_and_the_rest_is_counted() -> None:
    shown = _shown(_follower(), 1, judged=True)
    rows = [line.split() for line in shown.splitlines()]
    assert ["gw-01", "c", "9", "5", "3", "0", "0", "-"] in rows
    assert not [row for row in rows if row[:2] == ["gw-01", "a"]]
    assert "3 more devices" in shown, "one row is for events"
    assert "connection lost" in shown
    assert "missing 3" in shown
    assert "gw-01/a offline no answer for 5 min" in shown
    assert "gone: gw-01" in shown


def test_a_share_is_not_judged() -> None:
    said = report.summary(_follower(), None, NOW, judged=False)
    assert (said["missing"], said["gaps"], said["readings"]) == (None, None, 4)
    assert "gaps not judged" in report.line(said)
    assert ["gw-01", "c", "9", "-", "-", "-", "-", "-"] in [
        line.split() for line in _shown(_follower(), 9, judged=False).splitlines()
    ]
