"""What happened, in one list: with how long it lasted, page by page, and each thing once."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.control import happened as verb
from edge_agent.control.happened import HappenedArgs, _in_turn
from edge_agent.event import GATEWAY, Event
from edge_agent.outbox import happened as room
from edge_agent.outbox.outbox import Outbox
from edge_agent.reconfiguration.history import History
from tests.outbox.world import NOW_MS, FakeClock, opened, policy, reading


def told(path: Path, **args: Any) -> list[dict[str, Any]]:
    """Return all of it, page by page."""
    found: list[dict[str, Any]] = []
    before, seen = "", set[str]()
    while before not in seen:
        seen.add(before)
        page, before = _in_turn(path, History(path), HappenedArgs(before=before, **args))
        assert len(page) <= args.get("most", verb.MOST)
        found += map(dict, page)
        if not before:
            return found
    raise AssertionError(f"{before} comes again")


def brief(found: list[dict[str, Any]]) -> list[tuple[str, str, float | None]]:
    return [(one["event"], one["device"], one["lasted_s"]) for one in found]


async def tell(outbox: Outbox, clock: FakeClock, kind: Any, device: str, after_s: int, **more: Any) -> None:
    clock.wait(1000 * after_s)
    outbox.events.tell(Event(kind, device, clock.mono, **more))
    assert await outbox.flush()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def _a_day(path: Path) -> None:
    """Two devices come and go, an alarm is raised, somebody changes something, the gateway restarts."""
    clock, history, limit = FakeClock(), History(path), {"channel": "temperature", "alarm": "hot"}
    async with opened(path, clock) as outbox:
        await outbox.events.enroll()
        await tell(outbox, clock, "restarted", GATEWAY, 0, detail="version 1")
        await tell(outbox, clock, "late", "d1", 60, detail="nothing heard for 60 s")
        await tell(outbox, clock, "alarm", "d2", 10, value=81.0, **limit)
        await tell(outbox, clock, "offline", "d1", 50)
        history.end(
            history.begin(clock.wall_ms() + 1000, "wang", ("device d2 changed",), ("", "a")), "applied"
        )
        await tell(outbox, clock, "online", "d1", 100)
        await tell(outbox, clock, "alarm_cleared", "d2", 20, **limit)
    again = FakeClock("boot-2", 3_000, clock.wall + 600_000)
    async with opened(path, again, kept_by=policy(memory=5)) as outbox:
        await outbox.events.enroll()
        await tell(outbox, again, "restarted", GATEWAY, 0, detail="version 2")
        for number in range(9):
            outbox.keep(reading("d1", number, again.mono))
        await tell(outbox, again, "late", "d2", 5)
        await tell(outbox, again, "late", "d1", 5)
        await tell(outbox, again, "online", "d2", 5)


A_DAY = [
    ("online", "d2", 10),
    ("late", "d1", None),
    ("late", "d2", 10),
    ("restarted", "", None),
    ("lost", "d1", None),
    ("alarm_cleared", "d2", 170),
    ("online", "d1", 160),
    ("changed", "", None),
    ("offline", "d1", 100),
    ("alarm", "d2", 170),
    ("late", "d1", 60),
    ("restarted", "", None),
]


@pytest.mark.parametrize("most", [1, 2, 5, 50])
async def test_all_of_it_is_told_once_however_long_a_page_is(path: Path, most: int) -> None:
    await _a_day(path)
    found = told(path, most=most)
    assert Counter(brief(found)) == Counter(A_DAY)
    assert [one for one in brief(found) if one[0] != "lost"] == [one for one in A_DAY if one[0] != "lost"]
    assert [one["device"] for one in found if one["goes_on"]] == ["d1"]
    (changed,) = (one for one in found if one["event"] == "changed")
    assert (changed["by"], changed["detail"], changed["outcome"]) == ("wang", "device d2 changed", "applied")
    (lost,) = (one for one in found if one["event"] == "lost")
    assert (lost["readings"], lost["detail"]) == (5, "overflow")
    assert found[-1]["ts"] == NOW_MS


async def test_of_one_device_or_of_one_kind(path: Path) -> None:
    await _a_day(path)
    kinds = {
        kind: {one["event"] for one in told(path, kind=kind)} for kind in ("alarm", "start", "change", "loss")
    }
    assert kinds == {
        "alarm": {"alarm", "alarm_cleared"},
        "start": {"restarted"},
        "change": {"changed"},
        "loss": {"lost"},
    }
    assert brief(told(path, kind="device", device="d2", most=1)) == A_DAY[0:3:2]
    assert [one["event"] for one in told(path, device="d2")].count("changed") == 1
    assert told(path, device="nobody") == []


async def test_what_is_too_much_for_a_page_is_gone_on_with(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _a_day(path)
    monkeypatch.setattr(room, "_LOOKED_AT", 2)
    page, next_ = _in_turn(path, History(path), HappenedArgs(kind="start"))
    assert (page, bool(next_)) == ([], True)
    assert [one["detail"] for one in told(path, kind="start")] == ["version 2", "version 1"]


async def test_a_device_taken_away_ends_what_it_did(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        await outbox.events.enroll()
        await tell(outbox, clock, "late", "d1", 5)
        clock.wait(7_000)
        outbox.events.tell(Event("retired", "d1", clock.mono), "city")
        assert await outbox.flush()
        await tell(outbox, clock, "late", "d2", 5)
        outbox.events.tell(Event("retired", "d2", clock.mono), "city", stays=True)
        assert await outbox.flush()
    found = told(path)
    assert brief(found) == [
        ("retired", "d2", None), ("late", "d2", None), ("retired", "d1", None), ("late", "d1", 7),
    ]  # fmt: skip
    assert [one["goes_on"] for one in found] == [False, True, False, False]
    assert found[0]["detail"] == "from uplink city"


async def test_what_is_damaged_is_left_out(path: Path) -> None:
    await _a_day(path)
    with closing(sqlite3.connect(path)) as db, db:
        (first,) = db.execute("SELECT min(id) FROM log WHERE meta = 0").fetchone()
        db.execute("UPDATE log SET body = x'7b7d' WHERE id = ?", (first,))
    assert len(told(path)) == len(A_DAY) - 1


async def test_the_command_line_tells_the_events(path: Path) -> None:
    await _a_day(path)
    words = ["outbox", "events", "--file", str(path)]
    said = CliRunner().invoke(app, [*words, "--device", "d2", "--json"]).stdout.splitlines()
    assert [(one["event"], one["lasted_s"]) for one in map(json.loads, said)] == [
        ("online", 10), ("late", 10), ("alarm_cleared", 170), ("alarm", 170),
    ]  # fmt: skip
    shown = CliRunner().invoke(app, words).stdout.splitlines()
    assert len(shown) == 10
    assert shown[1].endswith(" d1 late; it goes on")
    assert shown[-2].endswith(" d1 late; 60 s; nothing heard for 60 s")
    wrong = CliRunner().invoke(app, [*words, "--device", "d3"])
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "has no device 'd3'; there are: d1, d2" in wrong.stderr
