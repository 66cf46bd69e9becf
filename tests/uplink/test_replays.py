"""Readings that a backend asks for once more, over a real mosquitto; and descriptions."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.uplink.asker import Asker, asking
from tests.uplink.rig import BASE, DEVICES, Rig, listening, running, settings

METER, ROOM = DEVICES


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker") as served:
        yield served


def _options(port: int, **more: Any) -> Any:
    return settings(port, commands=True, **more)


def _ask(  # noqa: PLR0913 - all that is asked for
    asker: Asker, rig: Rig, id_: str, first: int, last: int, *, device: str = METER
) -> None:
    asker.ask("replay", id_, device=device, epoch=rig.outbox.epoch, from_seq=first, to_seq=last)


async def test_a_range_comes_once_more_and_nothing_else_changes(broker: Broker, tmp_path: Path) -> None:
    async with (
        listening(broker.port) as heard,
        running(tmp_path, _options(broker.port), carry_out={}) as rig,
        asking(broker.port) as asker,
    ):
        await asker.online()
        for _ in range(100):
            rig.keep(3)
            rig.keep(2, ROOM)
        await rig.drained()
        before = rig.uplink.status().acknowledged
        _ask(asker, rig, "r1", 50, 120)
        assert (await asker.answer("r1")).said["result"] == {
            "to_seq": 120,
            "queued": 71,
            "unavailable": [],
            "pending": [],
        }
        await heard.until(lambda: _again(heard.of("history"), METER) == list(range(50, 121)))
        heard.readings()
        assert _again(heard.of("history"), ROOM) == []
        assert {said.payload["settled"] for said in heard.of("history")} == {300}
        assert rig.uplink.status().acknowledged == before == 500
        await rig.until(lambda: not rig.uplink._state.jobs.waiting)


def _again(history: list[Any], device: str) -> list[int]:
    found = [said.payload for said in history if said.payload["device"] == device]
    return sorted(item["seq"] for payload in found for item in payload["readings"])


async def test_what_cannot_come_is_named_with_its_reason(broker: Broker, tmp_path: Path) -> None:
    async with (
        listening(broker.port) as heard,
        running(tmp_path, _options(broker.port), carry_out={}) as rig,
        asking(broker.port) as asker,
    ):
        await asker.online()
        rig.keep(100)
        await rig.drained()
        stream = next(one.id for one in rig.outbox.streams.values() if one.device == METER)
        await rig.outbox._db.run(
            lambda db: db.executescript(
                f"DELETE FROM log WHERE seq <= 20 OR seq BETWEEN 41 AND 50;"
                f"INSERT INTO loss (stream, from_seq, to_seq, readings, reason)"
                f" VALUES ({stream}, 41, 50, 10, 'capacity')"
            )
        )
        _ask(asker, rig, "r1", 11, 60)
        assert (await asker.answer("r1")).said["result"] == {
            "to_seq": 60,
            "queued": 30,
            "unavailable": [[11, 20, "gone"], [41, 50, "capacity"]],
            "pending": [],
        }
        wanted = [*range(21, 41), *range(51, 61)]
        await heard.until(lambda: _again(heard.of("history"), METER) == wanted)
        _ask(asker, rig, "r2", 101, 110)
        assert "only 100 readings" in (await asker.answer("r2")).said["reason"]
        _ask(asker, rig, "r3", 1, 5, device="no-such")
        assert "no device no-such" in (await asker.answer("r3")).said["reason"]
        _ask(asker, rig, "r4", 5, 1)
        assert (await asker.answer("r4")).said["status"] == "error"
        _ask(asker, rig, "r5", 95, 1_000_000)
        assert (await asker.answer("r5")).said["result"]["to_seq"] == 100


async def test_a_replay_goes_on_with_the_next_connection(broker: Broker, tmp_path: Path) -> None:
    async with listening(broker.port) as heard, running(tmp_path, _options(broker.port), carry_out={}) as rig:
        async with asking(broker.port) as asker:
            await asker.online()
            rig.keep(9000)
            await rig.drained()
            _ask(asker, rig, "r1", 1, 9000)
            _ask(asker, rig, "r2", 4000, 9000)
            _ask(asker, rig, "r3", 100, 200)
            await asker.until(3)
        await broker.stop()
        await rig.until(lambda: not rig.uplink.status().connected)
        await broker.start()
        await heard.until(lambda: set(_again(heard.of("history"), METER)) == set(range(1, 9001)))
        heard.readings()
        await rig.until(lambda: not rig.uplink._state.jobs.waiting)


async def test_overlapping_requests_come_once(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    async with (
        listening(broker.port) as heard,
        running(tmp_path, _options(broker.port, spread="1h"), carry_out={}) as rig,
        asking(broker.port) as asker,
    ):
        await asker.online()
        rig.keep(500)
        await rig.until(lambda: rig.uplink.status().acknowledged == 500)
        for n, (first, last) in enumerate([(1, 300), (200, 400), (100, 350), (390, 500)]):
            _ask(asker, rig, f"r{n}", first, last)
        await asker.until(4)
        assert [answer.said["result"]["queued"] for answer in asker.answers] == [300, 201, 251, 111]
        assert rig.uplink._sending is not None
        rig.uplink._sending._open_backlog()  # before an hour is over
        await heard.until(lambda: len(_again(heard.of("history"), METER)) >= 500)
        assert _again(heard.of("history"), METER) == list(range(1, 501))


async def test_what_is_owed_still_is_pending(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    async with running(tmp_path, _options(broker.port, spread="1h"), carry_out={}, start=False) as rig:
        rig.keep(20)
        await rig.until(lambda: not rig.outbox.waiting)
    async with (
        running(tmp_path, _options(broker.port, spread="1h"), carry_out={}) as rig,
        asking(broker.port) as asker,
    ):
        await asker.online()
        _ask(asker, rig, "r1", 5, 10)
        said = (await asker.answer("r1")).said["result"]
        assert (said["queued"], said["pending"]) == (0, [[5, 10]])


async def test_republish_says_again_what_is_here(broker: Broker, tmp_path: Path) -> None:
    async with (
        listening(broker.port) as heard,
        running(tmp_path, _options(broker.port), carry_out={}) as rig,
        asking(broker.port) as asker,
    ):
        await asker.online()
        await rig.outbox.enroll(METER, "0ld", f'{{"device":"{METER}","hash":"0ld","channels":{{}}}}', [])
        await heard.until(lambda: len(heard.of("state")) == 2)
        heard.heard.clear()
        asker.ask("republish", "p1", device=METER, older=True)
        assert (await asker.answer("p1")).said["result"] == {"devices": 1, "older": 1}
        await heard.until(lambda: heard.of("state"))
        assert [said.payload["hash"] for said in heard.of("meta")] == ["0ld", f"{len(METER):08x}"]
        assert {said.topic for said in heard.of("meta")} == {f"{BASE}/meta/{METER}"}
        assert [state for state, _ in heard.statuses()] == ["online"]
        asker.ask("republish", "p2")
        assert (await asker.answer("p2")).said["result"] == {"devices": 2, "older": 0}
        asker.ask("republish", "p3", device="no-such")
        assert (await asker.answer("p3")).said["status"] == "error"
