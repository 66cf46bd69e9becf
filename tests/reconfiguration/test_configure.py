"""The verbs that change the console's file: all of it or nothing, and never a file that does not load."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.control.client import NoAgentError, ask
from edge_agent.reconfiguration.history import TEXTS, History
from edge_agent.settings.console_file import mark
from edge_agent.settings.load import load
from tests.cli.running import config, running, sensor
from tests.cli.verb import started

SECOND = """\
# the second one
[device.second]
driver = "modbus"
bus = "cabinet"
settings = { profile = "xy_md02", address = 8 }
"""
TAG = """\
[bus.air]
ble = "hci0"
[device.tag]
driver = "bthome"
bus = "air"
settings = { address = "A4:C1:38:00:11:22", bindkey = "00112233445566778899aabbccddeeff" }
"""


@asynccontextmanager
async def agent(folder: Path) -> AsyncIterator[Path]:
    """Run one with a sensor; yield its socket."""
    async with sensor(folder) as tty, running(config(folder, tty)) as place:
        yield place


async def devices(place: Path) -> list[str]:
    return [device["id"] for device in (await ask("status", at=place))["devices"]]


async def configure(place: Path, text: str, made_from: str = "", **more: Any) -> dict[str, Any]:
    told = {"text": text, "made_from": mark(made_from), "by": "ada", "apply": True} | more
    return await ask("configure", told, at=place, within=30)


async def test_a_device_is_added_changed_and_all_of_it_undone(tmp_path: Path) -> None:
    file, own = tmp_path / "agent.toml", tmp_path / "conf.d" / "50-console.toml"
    async with agent(tmp_path) as place:
        told = await configure(place, SECOND, apply=False)
        assert told["words"] == ["device second added"]
        assert "+[device.second]" in told["difference"]
        assert not own.exists(), "it was only asked"
        told = await configure(place, SECOND)
        assert told["problems"] == []
        assert own.read_text() == SECOND
        assert own.stat().st_mode & 0o777 == 0o644
        assert await devices(place) == ["air", "second"]

        named = SECOND + 'name = "Second"\n'
        assert (await configure(place, named, SECOND))["problems"] == []
        known = await ask("configuration", at=place)
        assert (known["text"], known["mark"]) == (named, mark(named))
        assert [change["words"] for change in known["changes"]] == [
            ["device second changed"],
            ["device second added"],
        ]
        assert {change["by"] for change in known["changes"]} == {"ada"}
        assert all(change["ts"] for change in known["changes"])
        (air,) = [one for one in known["places"] if one["id"] == "air"]
        assert (air["table"], air["file"], air["line"]) == ("device", str(file), 7)
        assert air["says"]["place"] == "hall-b"

        first = known["changes"][-1]["number"]
        told = await ask(
            "undo", {"number": first, "made_from": mark(named), "by": "bob", "apply": True}, at=place
        )
        assert told["problems"] == []
        assert not own.exists(), "as it was before the first change"
        assert await devices(place) == ["air"]
        assert (await ask("status", at=place))["problem"] == ""
    texts = list((tmp_path / "outbox.db.changes").iterdir())
    assert {text.stat().st_mode & 0o777 for text in texts} == {0o600}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[device.second]\ndriver = ", ""),
        (SECOND.replace("xy_md02", "xy_md03"), "device.second.settings.profile"),
        (SECOND.replace("address = 8", "address = 7"), "device.second.settings.address"),
        (SECOND.replace("second]", "air]"), "device.air"),
        ('[uplink.mine]\nservers = ["mqtt://evil.example"]\n', "uplink"),
        (TAG, "device.tag.settings.bindkey"),
        ("device = 1\n", "device"),
        ("[[device]]\nid = 1\n", "device"),
        ("device = " + "[" * 5_000, ""),
    ],
    ids=[
        "no TOML",
        "no such profile",
        "the same address",
        "the installer's",
        "not in conf.d",
        "a secret",
        "no table",
        "a list",
        "nested without end",
    ],
)
async def test_what_would_not_load_is_refused_with_its_place(tmp_path: Path, text: str, key: str) -> None:
    async with agent(tmp_path) as place:
        told = await configure(place, text)
        assert {problem["key"] for problem in told["problems"]} >= {key}, told
        assert "50-console.toml" in told["problems"][0]["file"]
        assert "00112233" not in json.dumps(told["problems"])
        assert not (tmp_path / "conf.d").exists()
        assert (await ask("status", at=place))["problem"] == ""


async def test_of_two_at_once_one_is_told_of_the_other(tmp_path: Path) -> None:
    other = SECOND.replace("second", "third").replace("= 8", "= 9")
    async with agent(tmp_path) as place:
        told = await asyncio.gather(configure(place, SECOND), configure(place, other))
        assert sorted(one["outdated"] for one in told) == [False, True]
        (loser,) = [one for one in told if one["outdated"]]
        assert "somebody else" in loser["problems"][0]["wrong"]
        own = tmp_path / "conf.d" / "50-console.toml"
        assert own.read_text() in {SECOND, other}
        own.write_text(SECOND + "# by hand\n")
        assert (await configure(place, other, SECOND))["outdated"], "nor is an editor's work overwritten"
        assert own.read_text() == SECOND + "# by hand\n"


async def test_what_a_reload_refuses_is_written_back(tmp_path: Path) -> None:
    async with agent(tmp_path) as place:
        assert (await configure(place, SECOND))["problems"] == []
        file = tmp_path / "agent.toml"
        file.write_text(file.read_text().replace("outbox.db", "other.db"))
        told = await configure(place, "", SECOND)
        assert "cannot change while the agent runs" in told["problems"][0]["wrong"]
        assert (tmp_path / "conf.d" / "50-console.toml").read_text() == SECOND
        known = await ask("configuration", at=place)
        assert [change["outcome"] for change in known["changes"]] == ["refused", "applied"]
        assert [change["can_undo"] for change in known["changes"]] == [False, True]


async def test_killed_at_any_moment_it_loads_afterwards(tmp_path: Path) -> None:
    texts = ("", SECOND, SECOND + 'name = "Second"\n')
    place, own = tmp_path / "control.sock", tmp_path / "conf.d" / "50-console.toml"
    async with sensor(tmp_path) as tty:
        file = config(tmp_path, tty)
        for _ in range(4):
            async with started("run", "--config", str(file), "--socket", str(place)) as agent:
                began = asyncio.Event()
                changing = asyncio.create_task(_change_for_ever(place, own, texts, began))
                await asyncio.wait_for(began.wait(), 60)
                await asyncio.sleep(random.random() / 2)
                agent.kill()
                await asyncio.wait_for(changing, 30)
            assert (own.read_text() if own.exists() else "") in texts
            assert "air" in load(file).device
    history = list(History(tmp_path / "outbox.db").all())
    assert sum(change.outcome == "applied" for change in history) > 3
    assert sum(change.before is not None for change in history) <= TEXTS


def test_texts_that_a_kill_left_are_forgotten_with_the_next_change(tmp_path: Path) -> None:
    history = History(tmp_path / "outbox.db")
    for number in range(TEXTS + 5):
        history.begin(number, "ada", ("device second added",), ("", SECOND))
    for number in (4, 5):
        left = history.find(number)
        assert left is not None
        assert left.before is None
        history._write(replace(left, before="", after=SECOND))
    history.begin(None, "ada", ("device second removed",), (SECOND, ""))
    assert [change.number for change in history.all() if change.before is not None] == [*range(26, 6, -1)]


async def _change_for_ever(place: Path, own: Path, texts: tuple[str, ...], began: asyncio.Event) -> None:
    """Change the file until the agent is gone."""
    while True:
        now = await asyncio.to_thread(lambda: own.read_text() if own.exists() else "")
        try:
            told = await configure(place, texts[(texts.index(now) + 1) % len(texts)], now)
        except NoAgentError:
            if began.is_set():
                return
        else:
            if not told["problems"]:
                began.set()
        await asyncio.sleep(0 if began.is_set() else 0.1)


async def test_where_it_cannot_be_written_it_says_so(tmp_path: Path) -> None:
    async with agent(tmp_path) as place:
        (tmp_path / "conf.d" / "50-console.toml.new").mkdir(parents=True)
        told = await configure(place, SECOND)
        assert "cannot be written" in told["problems"][0]["wrong"]
        assert await devices(place) == ["air"]


async def test_a_file_with_a_secret_in_it_is_undone_without_being_shown(tmp_path: Path) -> None:
    own = tmp_path / "conf.d" / "50-console.toml"
    async with agent(tmp_path) as place:
        assert (await configure(place, SECOND))["problems"] == []
        own.write_text(TAG)
        known = await ask("configuration", at=place)
        assert known["text"] == ""
        assert "secret in clear" in known["problems"][0]["wrong"]
        undo = {"number": known["changes"][0]["number"], "made_from": known["mark"], "by": "ada"}
        told = await ask("undo", undo, at=place)
        assert told["words"]
        assert "00112233" not in json.dumps([known, told])
        assert (await ask("undo", undo | {"apply": True}, at=place))["problems"] == []
        assert not own.exists()
