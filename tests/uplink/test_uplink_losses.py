"""Losses go beside: behind live readings, in turns with the backlog, few in memory however many are open."""

import json
from functools import partial
from pathlib import Path

import pytest

from edge_agent.backoff import Backoff
from edge_agent.uplink.circuit_breaker import CircuitBreaker
from edge_agent.uplink.dead_letters import DeadLetters
from edge_agent.uplink.losses import Losses
from edge_agent.uplink.topics import Topics
from edge_agent.uplink.uplink_state import UplinkState
from tests.faults.stub import NO_ACK, TAKEN, Behaviour, Published, Stub
from tests.uplink.rig import BASE, Rig, running, settings

_MANY = 150


def _kind(message: Published) -> str:
    return message.topic.split("/")[4]


def _is_lost(rig: Rig, readings: int) -> bool:
    return rig.outbox.lost >= readings and not rig.outbox.waiting


async def _lose(rig: Rig, entries: int, *, touching: bool = False) -> None:
    """Give up readings, one in each commit; entries with a reading between do not touch."""
    first = rig.outbox.lost + 1
    for lost in range(first, first + entries):
        rig.outbox._handover.overflow(1, 1, 5_000, 5_000)
        if not touching:
            rig.keep(1)
        rig.outbox._writer.pending.set()
        rig.outbox._writer.at_once.set()
        await rig.until(partial(_is_lost, rig, lost))


async def test_live_readings_go_before_many_losses(tmp_path: Path) -> None:
    """The broker holds losses and backlog back until it has been given a live reading."""
    passed: list[str] = []

    def verdict(message: Published) -> int | None:
        kind = _kind(message)
        if kind not in {"loss", "data", "history"}:
            return TAKEN
        passed.append(kind)
        return TAKEN if "data" in passed or len(passed) < 20 else NO_ACK

    async with Stub() as stub:
        async with running(tmp_path, settings(stub.port), start=False) as rig:
            await _lose(rig, _MANY)
        stub.behaviour = Behaviour(verdict=verdict)
        async with running(tmp_path, settings(stub.port)) as rig:
            await rig.until(lambda: len(passed) >= 20)
            rig.keep(1)
            await rig.until(lambda: "data" in passed)
            assert len(passed) <= 40, "a live reading waited"
            assert rig.uplink._sending is not None
            rig.uplink._sending._closed("cut by the test")  # what was held back comes again
            await rig.drained()

            def named() -> set[int]:
                losses = [m for m in stub.heard.messages if _kind(m) == "loss"]
                return {json.loads(loss.payload)["seq"] for loss in losses}

            await rig.until(lambda: named() == set(range(1, _MANY + 1)))
        assert "loss" in passed[: passed.index("history") + 3], "the losses waited for the backlog"
        assert passed.index("history") < _MANY, "the backlog waited for the losses"


async def test_a_gate_that_is_shut_holds_few_in_memory_and_lets_entries_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = partial(CircuitBreaker, _backoff=Backoff(0.05, 0.1))
    monkeypatch.setattr("edge_agent.uplink.circuit_breaker.CircuitBreaker", impatient)
    stub_says = {"code": 0x87}

    def verdict(message: Published) -> int:
        return stub_says["code"] if _kind(message) in {"loss", "data", "history"} else TAKEN

    async with Stub(Behaviour(verdict=verdict)) as stub:
        async with running(tmp_path, settings(stub.port), start=False) as rig:
            await _lose(rig, _MANY)
        async with running(tmp_path, settings(stub.port)) as rig:
            await rig.until(lambda: rig.uplink.status().connected and rig.uplink.status().problem)
            sending = rig.uplink._sending
            assert sending is not None
            await _lose(rig, 20)
            assert len(sending._losses._waiting) <= 120
            await _lose(rig, 50, touching=True)  # above what was taken up
            assert len(await rig.outbox.deliveries["city"].open_losses()) == _MANY + 21
            statuses = sum(_kind(message) == "status" for message in stub.heard.messages)
            sending._announcements.publish_status("online")
            sending.pump()
            await rig.until(
                lambda: sum(_kind(message) == "status" for message in stub.heard.messages) > statuses
            )
            stub_says["code"] = TAKEN
            await rig.drained()
            named: dict[int, int] = {}

            def all_named() -> bool:
                for message in stub.heard.messages:
                    if _kind(message) == "loss":
                        said = json.loads(message.payload)
                        named[said["seq"]] = said["readings"]
                return len(named) == _MANY + 21

            await rig.until(all_named)
            assert sum(named.values()) == _MANY + 20 + 50


async def test_what_is_not_owed_any_more_is_not_rejected(tmp_path: Path) -> None:
    """A full outbox may give it up while the ledger cannot be written."""
    async with running(tmp_path, settings(1), start=False) as rig:
        rig.keep(1)
        assert await rig.outbox.flush()
        delivery = rig.outbox.deliveries["city"]
        (row,) = await delivery.log.read(1, delivery.last_id, 10)
        rejections = DeadLetters(delivery, Losses(rig.gateway, Topics(BASE), delivery), UplinkState())
        rejections.add(row, "too large")
        delivery.settle(row.stream, row.seq, row.seq)
        await rejections.write()
        assert rejections.low_water() is None
        assert await delivery.open_losses() == []
