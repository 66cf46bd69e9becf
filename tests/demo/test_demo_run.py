"""The whole demo, as a user starts it: every reading that was kept is acknowledged, in order, once."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from edge_agent.control.client import ask
from edge_agent.demo import broker, mosquitto
from edge_agent.demo.broken import DemoError
from edge_agent.demo.config import TOPICS
from edge_agent.demo.login import Login
from edge_agent.demo.run import Options, run
from tests.console.browser import Browser
from tests.console.rig import answers
from tests.journey.programs import edge_agent
from tests.journey.programs import summary as summary_of

_ANY_PORT = "from edge_agent.demo import page; page._USUAL = 0"
"""The page's usual port is for one demo of a machine, and tests run side by side."""
_VERB = f"import typer; {_ANY_PORT}; from edge_agent.cli.demo import demo; typer.run(demo)"
_WIRED = {"meter-1", "meter-2", "climate-1", "radar-1"}
_ON_AIR = {"air-1", "motion-1", "stairs-1", "roof-1", "store-1"}


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _VERB, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _demo(*arguments: str) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Run it to its end with --json; return the readings, the summary and what was on stderr."""
    process = await _start("--json", *arguments)
    try:
        async with asyncio.timeout(90):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    *readings, summary = [json.loads(text) for text in out.splitlines()]
    return readings, summary, err.decode()


def _seqs(readings: list[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for reading in readings:
        found[reading["device"]].append(reading["seq"])
    return found


@pytest.fixture(autouse=True)
def _needs_mosquitto() -> None:
    if mosquitto.find() is None:
        pytest.fail("mosquitto is missing; run make test as root, or apt-get install mosquitto")


async def test_what_was_kept_is_acknowledged() -> None:
    async with edge_agent(
        "demo", "--json", before="from edge_agent.demo import page; page._USUAL = 0"
    ) as demo:
        await demo.says(lambda told: {one["device"] for one in told} == _WIRED | _ON_AIR)
        demo.process.terminate()
        code, out, err = await demo.over()
    assert code == 0, err
    readings, summary = summary_of(out)
    assert summary["kept"] == summary["acknowledged"] == len(readings), err
    assert summary["backlog"] == summary["lost"] == 0
    assert set(summary["devices"]) == _WIRED | _ON_AIR
    for device, seqs in _seqs(readings).items():
        assert sorted(seqs) == list(range(1, summary["devices"][device]["seq"] + 1))
    meter = next(reading for reading in readings if reading["device"] == "meter-1")
    assert 220 < meter["values"]["voltage"] < 240
    air = next(reading for reading in readings if reading["device"] == "climate-1")
    assert 15 < air["values"]["temperature"] < 30
    assert {device["availability"] for device in summary["devices"].values()} == {"online"}
    for sensor in ("air-1", "stairs-1", "store-1", "roof-1"):
        on_air = next(reading for reading in readings if reading["device"] == sensor)
        assert 0 < on_air["values"]["temperature"] < 30
        assert -76 < on_air["values"]["signal"] < -59


async def test_without_a_dbus_daemon_it_says_so_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = mosquitto.find()
    assert found
    (tmp_path / "mosquitto").symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    _, summary, err = await _demo("--for", "4s")
    assert set(summary["devices"]) == _WIRED
    assert "no BLE sensors: dbus-daemon is not installed; apt-get install dbus-daemon" in err


async def test_an_outage_loses_nothing_and_a_second_start_goes_on(tmp_path: Path) -> None:
    readings, summary, err = await _demo("--for", "15s", "--outage", "4s", "--dir", str(tmp_path))
    assert "-- broker taken away" in err
    assert "-- broker back" in err
    assert summary["kept"] == summary["acknowledged"], err
    assert summary["backlog"] == summary["lost"] == 0
    before = _seqs(readings)
    for device, seqs in before.items():
        assert set(seqs) == set(range(1, summary["devices"][device]["seq"] + 1))
    assert (tmp_path / "agent.toml").exists()

    again, _, _ = await _demo("--for", "6s", "--dir", str(tmp_path))
    for device, seqs in _seqs(again).items():
        assert min(seqs) == max(before[device]) + 1


async def test_ctrl_c_ends_it_with_the_summary() -> None:
    process = await _start()
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"kept" not in await process.stdout.readline():
                pass
            process.send_signal(signal.SIGINT)
            rest, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    assert rest.splitlines()[-1].startswith(b"kept ")


def test_it_takes_its_files_away_however_early_it_is_stopped(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _VERB, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    try:
        while not any(tmp_path.iterdir()) and process.poll() is None:
            time.sleep(0.005)
        process.terminate()
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err.decode()
    *readings, summary = map(json.loads, out.splitlines())
    assert summary["kept"] == summary["acknowledged"] == len(readings), "a summary, also of nothing"
    assert set(summary["devices"]) >= _WIRED
    assert list(tmp_path.iterdir()) == []


async def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DemoError, match=r"--dir .*/file/x \(Not a directory\); choose"):
        await run(Options(directory=tmp_path / "file" / "x"))


async def _subscriber(login: Login, *arguments: str) -> bytes:
    hearing = await asyncio.create_subprocess_exec(
        *("mosquitto_sub", "-h", login.host, "-p", str(login.port), "-u", login.username),
        *("-P", login.password, "-i", "witness", "-c", "-q", "1", "-t", TOPICS.replace("#", "data/#")),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        heard, _ = await hearing.communicate()
    return heard


async def test_it_works_with_a_broker_of_the_users(tmp_path: Path) -> None:
    """Its subscriber hears every reading that the demo counts."""
    login = broker.own_login(tmp_path)
    url = login.url.replace("://", f"://{login.username}:{login.password}@")
    async with broker.running(tmp_path, login):
        await _subscriber(login, "-E")  # from now on the broker keeps messages for it
        _, summary, _ = await _demo("--for", "6s", "--broker", url)
        heard = await _subscriber(login, "-W", "4")
    numbers = {
        (message["device"], reading["seq"])
        for message in map(json.loads, heard.splitlines())
        for reading in message["readings"]
    }
    assert numbers == {
        (device, seq) for device, last in summary["devices"].items() for seq in range(1, last["seq"] + 1)
    }


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (Options(outage=5, broker="mqtt://127.0.0.1:1"), "by hand"),
        (Options(outage=20, seconds=30), "longer"),
        (Options(broker="127.0.0.1"), "mqtt://"),
        (Options(seconds=0), "--for is no time at all"),
        (Options(outage=0), "--outage is no time at all"),
        (Options(directory=Path("/proc/none/here")), r"--dir /proc/none/here \(.+\); choose"),
    ],
)
async def test_it_refuses_what_it_cannot_show(options: Options, remedy: str) -> None:
    with pytest.raises(DemoError, match=remedy):
        await run(options)


async def test_one_directory_takes_one_demo(tmp_path: Path) -> None:
    first = await _start("--dir", str(tmp_path))
    try:
        assert first.stdout is not None
        async with asyncio.timeout(60):
            await first.stdout.readline()
        with pytest.raises(DemoError, match="another demo"):
            await run(Options(directory=tmp_path))
    finally:
        first.terminate()
        await first.communicate()


async def test_it_has_a_page_for_operators_and_can_be_asked(tmp_path: Path) -> None:
    process = await _start("--dir", str(tmp_path))
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while not (said := (await process.stdout.readline()).decode()).startswith("page "):
                assert said, "it ended"
            found = re.search(r"(http://127\.0\.0\.1:\d+)  \(user admin, password (\w+)\)", said)
            assert found is not None, said
            page = Browser(found[1])
            await answers(page)
            assert "Hall A feed" in (await page.log_in(found[2])).text
            told = await ask("status", at=tmp_path / "control.sock")
            assert told["gateway"] == "demo-gw"
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0
