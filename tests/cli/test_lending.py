"""Verbs that need a port which a running agent has: it lends its bus, and takes it back."""

import asyncio
import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_agent.bus.serial import BusError
from edge_agent.cli.borrowed_port import with_port
from edge_agent.control import client, lease
from edge_agent.control.client import ask
from edge_agent.control.lease import borrowed
from edge_agent.demo import radar
from edge_agent.demo.wire import Wire
from tests.cli.running import AIR, PATIENT, config, running, sensor, until
from tests.cli.verb import finished, started, verb


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_SOCKET", str(tmp_path / "control.sock"))


ROWS = "SELECT seq FROM log JOIN stream ON stream.id = stream WHERE kind = 'reading' ORDER BY log.id"


async def device(place: Path) -> dict[str, Any]:
    (found,) = (await ask("status", at=place))["devices"]
    return dict(found)


async def goes_on(place: Path) -> None:
    """Wait until the device is read again."""
    before = (await device(place))["seq"]
    async with asyncio.timeout(60):
        while (await device(place))["seq"] < before + 2:  # noqa: ASYNC110 - the agent decides
            await asyncio.sleep(0.05)


async def test_read_scan_listen_and_record_beside_the_agent(tmp_path: Path) -> None:
    async with sensor(tmp_path) as port, running(file := config(tmp_path, port), PATIENT) as place:
        await until(place, 0)
        read = await verb("read", "air", "--config", str(file), "--json")
        assert (read.code, "the agent lends its bus cabinet" in read.err) == (0, True)
        values = {name: one["value"] for name, one in json.loads(read.out)["channels"].items()}
        assert values == AIR
        await goes_on(place)
        scan = ("--speeds", "9600 8N1", "--addresses", "7", "--driver", "modbus", "--json")
        found = json.loads((await verb("scan", "serial", str(port), *scan)).out)["found"]
        assert [one["who"] for one in found] == ["unit 7"]
        await goes_on(place)
        capture = tmp_path / "it.jsonl"
        said = await verb("record", str(capture), "--device", "air", "-c", str(file), "--for", "1500ms")
        assert said.code == 0, said.err
        listened = await verb("listen", str(port), "--speed", "9600 8N1", "--for", "500ms")
        assert (listened.code, listened.out) == (1, "")
        await goes_on(place)
        known = await device(place)
        assert (known["availability"], known["faults"], known["problem"]) == ("online", {}, "")
    with closing(sqlite3.connect(f"file:{tmp_path / 'outbox.db'}?mode=ro", uri=True)) as db:
        seqs = [seq for (seq,) in db.execute(ROWS)]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_client_that_is_killed_gives_it_back_and_a_second_one_waits(tmp_path: Path) -> None:
    async with sensor(tmp_path) as port, running(config(tmp_path, port)) as place:
        await until(place, 0)
        async with started("listen", str(port)) as listening:
            async with asyncio.timeout(60):
                while not (now := await device(place))["problem"]:  # noqa: ASYNC110 - the agent decides
                    await asyncio.sleep(0.05)
            assert now["problem"] == "bus cabinet is lent to edge-agent listen"
            assert now["availability"] == "online"
            second = await verb("listen", str(port))
            assert second.code == 2
            assert "bus cabinet is lent to edge-agent listen already" in second.err
            assert await ask("lend", {"port": str(tmp_path / "other"), "by": "me"}, at=place) == {"bus": ""}
            listening.kill()
            await listening.wait()
            await goes_on(place)
        assert (await device(place))["problem"] == ""


async def test_what_speaks_unasked_is_lent_too(tmp_path: Path) -> None:
    with Wire(tmp_path / "near", tmp_path / "far", radar.BAUD) as wire, radar.Module(wire.far) as module:
        talk = asyncio.create_task(module.watch())
        file = config(tmp_path, wire.near)
        text = file.read_text("utf-8").replace('"modbus"', '"ld2410"')
        file.write_text(text.replace('settings = { profile = "xy_md02", address = 7 }', ""), "utf-8")
        async with running(file) as place:
            await until(place, 0)
            heard = await verb("listen", str(wire.near), "--driver", "ld2410", "--for", "1s", "--json")
            assert heard.code == 0, heard.err
            assert "the agent lends" in heard.err
            await goes_on(place)
            assert (await device(place))["problem"] == ""
        talk.cancel()


async def test_a_lease_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The borrower gives it back a little before the agent takes it back."""
    monkeypatch.setattr(lease, "LEASE_S", 0.6)
    monkeypatch.setattr(lease, "_EARLIER_S", 0.2)
    async with sensor(tmp_path) as port, running(config(tmp_path, port)) as place:
        await until(place, 0)
        with pytest.raises(BusError, match="which are over; begin again"):
            await with_port(str(port), "test", partial(asyncio.sleep, 30))
        await goes_on(place)


async def test_an_agent_takes_back_what_is_not_given(tmp_path: Path) -> None:
    """Its own limit, for a client that goes on beyond it."""
    short = "from edge_agent.control import verbs; verbs.LEASE_S = 0.5"
    async with sensor(tmp_path) as port, running(config(tmp_path, port), short) as place:
        await until(place, 0)
        assert await ask("lend", {"port": str(port), "by": "me"}, at=place) == {"bus": "cabinet"}
        await goes_on(place)


async def test_without_an_agent_nothing_is_lent(tmp_path: Path) -> None:
    async with borrowed("/dev/ttyUSB0", "a test") as bus:
        assert bus == ""
    with pytest.raises(client.NoAgentError):
        await ask("status")
    async with started("listen", str(tmp_path / "none"), "--json") as listening:
        said = await finished(listening)
    assert (said.code, "lends" in said.err) == (2, False)
