"""Readings that went out before the clock was known go out once more, with their time, and harm nobody."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.contract.messages import DataMessage
from tests.faults.stub import NO_ACK, TAKEN, Behaviour, Published, Stub
from tests.uplink.rig import UnknownClock, running, settings

_NOW_MS = 1_795_366_800_000
_MADE = 30


class LateClock(UnknownClock):
    """A clock that becomes known when the test says so."""

    known = False

    def wall_ms(self) -> int:
        """Return 1970, then now."""
        return self.mono_ms() + (_NOW_MS if self.known else 5)

    def trusted(self) -> bool:
        """Say whether the test has said so."""
        return self.known


@pytest.fixture(autouse=True)
async def _nothing_fails_unseen() -> AsyncIterator[None]:
    """An exception in a callback of the loop is only logged; here it fails the test."""
    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(context))
    yield
    await asyncio.sleep(0)
    assert seen == []


def _readings(stub: Stub, lane: str, clock: str | None) -> list[int]:
    """Return the numbers that came on a lane with such a clock, as they came; check each message."""
    found = []
    for message in stub.heard.messages:
        if f"/{lane}/" not in message.topic:
            continue
        said = DataMessage.model_validate_json(message.payload)
        assert all((item.clock == "unsynchronised") == (item.ts_bounds is not None) for item in said.readings)
        found += [item.seq for item in said.readings if item.clock == clock]
    return found


def _is_repaired(message: Published) -> bool:
    return b'"repaired"' in message.payload


def _refuse(code: int) -> Callable[[Published], int]:
    return lambda message: code if _is_repaired(message) else TAKEN


def _noted(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "outbox.db")) as db:
        return db.execute("SELECT from_id, to_id FROM again").fetchall()


async def test_the_same_numbers_come_again_on_history(tmp_path: Path) -> None:
    clock = LateClock()
    async with Stub() as stub, running(tmp_path, settings(stub.port), clock=clock, clock_wait=0.1) as rig:
        await rig.connected()
        rig.keep(_MADE)
        await rig.drained()
        assert sorted(_readings(stub, "data", "unsynchronised")) == list(range(1, _MADE + 1))
        settled, taken = rig.outbox.deliveries["city"].settled(1), rig.uplink.status().acknowledged
        clock.known = True
        rig.outbox.learn_time()
        rig.uplink.clock_set()
        await rig.until(lambda: len(_readings(stub, "history", "repaired")) == _MADE)
        await rig.until(lambda: not rig.outbox.deliveries["city"].repairs.following(0))
        assert _readings(stub, "history", "repaired") == list(range(1, _MADE + 1))
        status = rig.uplink.status()
        assert (status.backlog, status.acknowledged) == (0, taken), "no reading counts twice"
        assert rig.outbox.deliveries["city"].settled(1) == settled == _MADE
        times = [
            (item["ts"], json.loads(message.payload)["settled"])
            for message in stub.heard.messages
            if "/history/" in message.topic
            for item in json.loads(message.payload)["readings"]
        ]
        assert all(_NOW_MS < ts <= clock.wall_ms() for ts, _ in times)
        assert {told for _, told in times} == {_MADE}
        rig.keep(1)
        await rig.drained()
        assert _readings(stub, "data", None) == [_MADE + 1]
    assert _noted(tmp_path) == []


async def test_a_session_that_breaks_with_some_on_their_way_leaves_none_out(tmp_path: Path) -> None:
    """The one that was not acknowledged is owed, the others come again."""
    clock = LateClock()
    held = Behaviour(verdict=lambda message: NO_ACK if b'"seq":2,' in message.payload else TAKEN)
    async with (
        Stub(held) as stub,
        running(tmp_path, settings(stub.port), clock=clock, clock_wait=0.1) as rig,
    ):
        await rig.connected()
        for count in range(1, 4):
            rig.keep(1)
            await rig.until(lambda: len(_readings(stub, "data", "unsynchronised")) == count)  # noqa: B023 - used at once
        clock.known = True
        rig.outbox.learn_time()
        rig.uplink.clock_set()
        held.verdict = lambda _message: TAKEN
        assert rig.uplink._sending is not None
        rig.uplink._sending._closed("cut by the test")
        await rig.until(lambda: len(set(_readings(stub, "history", "repaired"))) == 3)
        await rig.drained()
        assert sorted(set(_readings(stub, "data", "unsynchronised"))) == [1, 2, 3]


@pytest.mark.parametrize("code", [0x95, 0x99])
async def test_a_broker_that_refuses_the_second_copy_costs_nothing(tmp_path: Path, code: int) -> None:
    clock = LateClock()
    behaviour = Behaviour(verdict=_refuse(code))
    async with (
        Stub(behaviour) as stub,
        running(tmp_path, settings(stub.port), clock=clock, clock_wait=0.1) as rig,
    ):
        await rig.connected()
        rig.keep(3)
        await rig.drained()
        clock.known = True
        rig.outbox.learn_time()
        rig.uplink.clock_set()
        await rig.until(lambda: not rig.outbox.deliveries["city"].repairs.following(0))
        assert rig.outbox.lost == 0
        rig.keep(5)
        await rig.drained()
        assert _readings(stub, "data", None) == [4, 5, 6, 7, 8]


async def test_a_restart_between_sends_no_less_and_a_quota_holds_it(tmp_path: Path) -> None:
    clock = LateClock()
    behaviour = Behaviour()
    async with Stub(behaviour) as stub:
        async with running(tmp_path, settings(stub.port), clock=clock, clock_wait=0.1) as rig:
            rig.keep(_MADE)
            rig.keep(_MADE, "room-2")
            await rig.drained()
        assert _noted(tmp_path) == [(1, 2 * _MADE)]
        clock.known = True
        behaviour.verdict = _refuse(0x97)  # quota exceeded
        async with running(tmp_path, settings(stub.port), clock=clock) as rig:
            await rig.until(lambda: "refuses" in rig.uplink.status().problem)
        assert _noted(tmp_path) == [(1, 2 * _MADE)]
        behaviour.verdict = lambda _message: TAKEN
        async with running(tmp_path, settings(stub.port), clock=clock) as rig:
            before = len(stub.heard.messages)
            await rig.until(lambda: not rig.outbox.deliveries["city"].repairs.following(0))
            again = [message for message in stub.heard.messages[before:] if _is_repaired(message)]
            seqs = [item["seq"] for message in again for item in json.loads(message.payload)["readings"]]
            assert sorted(seqs) == sorted(2 * list(range(1, _MADE + 1)))
    assert _noted(tmp_path) == []
