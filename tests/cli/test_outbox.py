"""``edge-agent outbox``: what it says of a file is what the outbox itself knows, also while it is written."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.outbox.outbox import Outbox
from edge_agent.reading import Grade, Quality, Reading
from tests.cli.running import config, running, sensor, until
from tests.cli.verb import verb
from tests.outbox.world import NOW_MS, FakeClock, ask, opened, policy, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["outbox", *words])
    assert done.exit_code == code, done.output
    return done.stdout


def told(*words: str, code: int = 0) -> Any:
    return json.loads(run(*words, "--json", code=code))


async def keep(outbox: Outbox, clock: FakeClock, count: int, device: str = "d1") -> None:
    for number in range(count):
        clock.wait(1000)
        outbox.keep(reading(device, number, clock.mono))
    assert await outbox.flush()


async def test_what_is_owed_is_what_the_outbox_knows(path: Path) -> None:
    """Acknowledged in and out of order, lost to one uplink and to all, and an uplink that is gone."""
    clock = FakeClock()
    async with opened(path, clock, ["city", "park"]) as outbox:
        await keep(outbox, clock, 50)
        await keep(outbox, clock, 20, "d2")
        outbox.deliveries["city"].settle(1, 1, 10)
        outbox.deliveries["city"].settle(1, 15, 20)
        rows = await outbox.deliveries["park"].log.read(1, 100, 1)
        await outbox.deliveries["park"].reject(rows[0], "too large")
    async with opened(path, clock, ["city", "new"], kept_by=policy(memory=5)) as outbox:
        for number in range(9):  # four more than there is room for
            outbox.keep(reading("d1", number, clock.mono))
        assert await outbox.flush()
        clock.wait(10_000)
        await keep(outbox, clock, 1)
        found = told("--file", str(path))
        knows = {up.name: up.backlog for up in outbox._writer.recipients}
        by_name = {one["name"]: one for one in found["uplinks"]}
        assert {name: one["backlog"] for name, one in by_name.items()} == knows
        assert knows["city"] == 50 + 20 - 16 + 5 + 1
        assert [name for name, one in by_name.items() if one["parked"]] == ["park"]
        assert (found["lost"], found["readings"]) == (outbox.lost, outbox.kept)
        assert by_name["city"]["oldest_ts"] == NOW_MS + 11_000
        assert by_name["city"]["age_s"] == pytest.approx((clock.mono - 5_000 - 11_000) / 1000, abs=2)
        assert by_name["new"]["oldest_ts"] is not None
    text = run("--file", str(path))
    assert f"uplink park: {knows['park']} owed; it is not in the configuration any more" in text
    lines = [json.loads(line) for line in run("losses", "--file", str(path), "--json").splitlines()]
    assert [(one["device"], one["readings"], one["reason"]) for one in lines] == [
        ("d1", 4, "overflow"),
        ("d1", 1, "rejected"),
    ]
    assert "d1 1 to 1: 1 readings, rejected, " in run("losses", "--file", str(path))


async def test_an_export_has_each_reading_once_and_its_time(path: Path, tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        await keep(outbox, clock, 5_000)
        quality = {"temperature": Quality(Grade.BAD, "unknown")}
        outbox.keep(Reading("d2", clock.mono, {"humidity": True}, quality))
        assert await outbox.flush()
        lines = run("export", "--file", str(path), "--format", "jsonl", "--device", "d1").splitlines()
        found = [json.loads(line) for line in lines]
        assert [one["seq"] for one in found] == list(range(1, 5_001))
        assert found[0]["ts"] == NOW_MS + 1000
        assert found[7]["values"] == {"temperature": 7, "humidity": 50.5}
    out = tmp_path / "it.csv"
    run("export", "--file", str(path), "--device", "d2", "--out", str(out))
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert [(row["channel"], row["value"], row["quality"], row["reason"]) for row in rows] == [
        ("humidity", "true", "good", ""),
        ("temperature", "", "bad", "unknown"),
    ]
    assert rows[0]["time"].endswith("+00:00")
    run("export", "--file", str(path), "--out", str(out), code=2)  # it is there
    run("export", "--file", str(path), "--device", "d3", code=2)
    run("export", "--file", str(path), "--from", "yesterday", code=2)
    first = found[10]["ts"] / 1000
    window = ("--from", _iso(first), "--to", _iso(first + 5), "--format", "jsonl", "--device", "d1")
    some = [json.loads(line)["seq"] for line in run("export", "--file", str(path), *window).splitlines()]
    assert some == [11, 12, 13, 14, 15]
    assert run("export", "--file", str(path), "--to", "2000-01-01", "--format", "jsonl") == ""


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def damage(path: Path) -> None:
    text = path.read_bytes()
    at = text.index(b"[4321,50.5]")
    path.write_bytes(text[:at] + b"[9999,50.5]" + text[at + 11 :])


async def test_a_damaged_file_says_so_after_what_could_be_read(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock) as outbox:
        await keep(outbox, clock, 5_000)
    ((id_,),) = ask(path, "SELECT max(id) FROM log")
    damage(path)
    done = CliRunner().invoke(app, ["outbox", "export", "--file", str(path), "--format", "jsonl"])
    assert done.exit_code == 1
    assert "is damaged" in done.stderr
    assert 0 < len(done.stdout.splitlines()) < id_
    assert '"temperature": 9999' not in done.stdout


def test_what_is_garbage_says_so(path: Path) -> None:
    path.write_bytes(b"x" * 10_000)
    assert "is damaged" in told("--file", str(path), code=1)["error"]


def test_what_is_no_outbox_is_said(path: Path, tmp_path: Path) -> None:
    assert "there is no outbox" in told("--file", str(path), code=2)["error"]
    ask(path, "CREATE TABLE other (x)")
    assert "is no outbox" in told("--file", str(path), code=2)["error"]
    assert "cannot be read" in told("--config", str(tmp_path / "none.toml"), code=78)["error"]


async def test_beside_a_running_agent(tmp_path: Path) -> None:
    async with sensor(tmp_path) as port, running(file := config(tmp_path, port)) as place:
        await until(place, 0)
        said = await verb("outbox", "--config", str(file))
        assert said.code == 0, said.err
        assert "lost since it was made: 0" in said.out
        exported = await verb("outbox", "export", "-c", str(file), "--from", "1h", "--format", "jsonl")
        assert exported.code == 0, exported.err
    values = [json.loads(line)["values"] for line in exported.out.splitlines()]
    assert values[0] == {"temperature": 30.5, "humidity": 48.6}
