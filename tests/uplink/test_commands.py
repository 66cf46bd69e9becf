"""Commands over a real mosquitto: each is judged, carried out at most once, and answered."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.contract.commands import NoArgs
from edge_agent.contract.messages import ReplyMessage
from edge_agent.uplink.downlink import CannotError, Executor
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.uplink.asker import asking
from tests.uplink.rig import BASE, UnknownClock, listening, running, settings

_FUZZED = 500


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker") as served:
        yield served


class Work:
    """What is carried out: ``did`` has the calls; ``gate`` holds them up while it is not set."""

    def __init__(self) -> None:
        self.did = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def ping(self, _args: NoArgs) -> dict[str, Any]:
        self.did += 1
        await self.gate.wait()
        return {"time": self.did}

    async def identify(self, _args: NoArgs) -> dict[str, Any]:
        self.did += 1
        raise CannotError("it knows nothing")

    @property
    def all(self) -> dict[str, Executor]:
        return {"ping": self.ping, "identify": self.identify}


def _options(port: int, **more: Any) -> Any:
    return settings(port, commands=["ping", "identify"], **more)


async def test_a_command_is_answered_on_its_own_topic_and_kept(broker: Broker, tmp_path: Path) -> None:
    work = Work()
    async with (
        running(tmp_path, _options(broker.port), carry_out=work.all),
        asking(broker.port) as asker,
    ):
        await asker.online()
        asker.ask("ping", "a1")
        answer = await asker.answer("a1")
        assert ReplyMessage.model_validate(answer.said).status == "ok"
        assert answer.said["result"] == {"time": 1}
        assert answer.topic == f"{BASE}/reply/ping"
        assert not answer.retained
        assert answer.expiry is not None
        assert 290 <= answer.expiry <= 300
        asker.ask("identify", "a2")
        said = (await asker.answer("a2")).said
        assert (said["status"], said["reason"]) == ("error", "it knows nothing")


async def test_a_response_topic_and_its_correlation_are_honoured(broker: Broker, tmp_path: Path) -> None:
    work, elsewhere = Work(), "park/answers/ingest-2"
    options = _options(broker.port, reply_to=["park/answers/#"])
    async with (
        running(tmp_path, options, carry_out=work.all),
        asking(broker.port, "park/answers/#", "secret/#") as asker,
    ):
        await asker.online()
        asker.ask("ping", "a1", response_topic=elsewhere, correlation=b"\0\xff7")
        answer = await asker.answer("a1")
        assert (answer.topic, answer.correlation) == (elsewhere, b"\0\xff7")
        asker.ask("ping", "a2", response_topic=f"{BASE}/reply/mine", correlation=b"8")
        assert (await asker.answer("a2")).topic == f"{BASE}/reply/mine"
        asker.ask("ping", "a3", response_topic="secret/door", correlation=b"9")
        answer = await asker.answer("a3")
        assert (answer.topic, answer.correlation) == (f"{BASE}/reply/ping", b"9")
        assert (answer.said["status"], answer.said["reason"]) == ("rejected", "response_topic")
        assert work.did == 2


async def test_what_must_not_be_carried_out_is_refused_with_its_reason(
    broker: Broker, tmp_path: Path
) -> None:
    work = Work()
    async with (
        running(tmp_path, _options(broker.port), carry_out=work.all) as rig,
        asking(broker.port) as asker,
    ):
        await asker.online()
        asker.ask("ping", "late", within=-1)
        asker.ask("ping", "endless", within=None)
        asker.ask("ping", "far", within=100_000)
        asker.ask("ping", "kept", retain=True)
        asker.ask("ping", "more", volume=3)
        asker.ask("open-door", "unknown")
        asker.ask("log-level", "closed", level="debug")
        asker.say("cmd/ping", b'{"schema":"park.cmd/1","id":"half","name":"ping"')
        asker.say("cmd/ping", b'{"schema":"park.cmd/1","id":"typed","name":7}')
        asker.say("cmd/ping", b'{"schema":"park.cmd/1","id":"other","name":"identify","deadline":1}')
        asker.say("cmd/ping", b" " * 20_000)
        asker.ask("ping", "expiring", within=None, expiry=60)
        await asker.answer("expiring")
        found = {answer.said["id"]: answer.said for answer in asker.answers}
        told = {
            id_: (said["status"], said.get("reason", "").partition(":")[0]) for id_, said in found.items()
        }
        assert told == {
            "late": ("expired", "deadline"),
            "endless": ("rejected", "no_deadline"),
            "far": ("rejected", "deadline_too_far"),
            "kept": ("rejected", "retained"),
            "more": ("rejected", "args"),
            "unknown": ("rejected", "unknown"),
            "closed": ("rejected", "not_allowed"),
            "typed": ("rejected", "malformed"),
            "other": ("rejected", "name"),
            "expiring": ("ok", ""),
        }
        assert work.did == 1
        counts = rig.uplink._state.downlink.counts  # type: ignore[union-attr]  # it takes commands
        assert counts["rejected: too_large"] == 1
        assert counts["rejected: malformed"] == 2


async def test_what_is_repeated_has_its_answer_also_beyond_the_rate(broker: Broker, tmp_path: Path) -> None:
    work = Work()
    async with (
        running(tmp_path, _options(broker.port), carry_out=work.all),
        asking(broker.port) as asker,
    ):
        await asker.online()
        for number in range(21):
            asker.ask("ping", f"p{number}")
        assert (await asker.answer("p20")).said["reason"] == "rate"
        asker.answers.clear()
        asker.ask("ping", "p0")
        said = (await asker.answer("p0")).said
        assert (said["status"], said["result"]) == ("ok", {"time": 1}), (
            "it was done, and is not called rejected"
        )
        assert work.did == 20


async def test_what_is_far_too_large_neither_fills_the_memory_nor_stands_in_the_way(
    broker: Broker, tmp_path: Path
) -> None:
    work = Work()
    async with (
        running(tmp_path, _options(broker.port), carry_out=work.all) as rig,
        asking(broker.port) as asker,
    ):
        await asker.online()
        asker.say("cmd/ping", b" " * 1_000_000)  # the broker drops it: it is not even counted
        asker.ask("ping", "beside", correlation=b"c" * 1_100)
        asker.ask("ping", "elsewhere", response_topic=f"{BASE}/reply/{'a' * 1_100}")
        asker.ask("ping", "small")
        await asker.answer("small")
        assert rig.uplink._state.downlink.counts == {"rejected: too_large": 2, "ok": 1}  # type: ignore[union-attr]
        assert rig.uplink.status().connected


async def test_nothing_malformed_is_carried_out_and_all_of_it_is_answered_or_counted(
    broker: Broker, tmp_path: Path
) -> None:
    """A command without an end, with some bytes changed, lost or put in: whatever comes out has none."""
    work, chance = Work(), random.Random(7)
    async with (
        running(tmp_path, _options(broker.port), carry_out=work.all) as rig,
        asking(broker.port) as asker,
    ):
        await asker.online()
        counts = rig.uplink._state.downlink.counts  # type: ignore[union-attr]  # it takes commands
        for number in range(_FUZZED):
            said = bytearray(b'{"schema":"park.cmd/1","id":"f%d","name":"ping","args":{},"by":"x"}' % number)
            for _ in range(chance.randrange(6)):
                at = chance.randrange(len(said))
                said[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
            asker.say("cmd/ping", bytes(said))
            await asyncio.sleep(0)
        await rig.until(lambda: sum(counts.values()) == _FUZZED)
        asker.ask("ping", "good")
        assert (await asker.answer("good")).said["status"] == "ok"
        assert work.did == 1
        refused = [answer.said for answer in asker.answers if answer.said["id"] != "good"]
    assert {said["status"] for said in refused} == {"rejected"}
    assert 40 <= len(refused) < _FUZZED, "as many as the rate allows; the others are only counted"
    assert set(counts) == {"ok", "rejected: malformed", "rejected: name", "rejected: no_deadline"}


async def test_a_retained_command_is_refused_at_each_connection(broker: Broker, tmp_path: Path) -> None:
    work = Work()
    async with asking(broker.port) as asker:
        asker.ask("ping", "left-there", retain=True)
        for protocol in ("5", "3.1.1"):
            async with running(tmp_path, _options(broker.port, protocol=protocol), carry_out=work.all):
                await asker.online()
                said = (await asker.answer("left-there")).said
                assert (said["status"], said["reason"]) == ("rejected", "retained")
                asker.answers.clear()
        assert work.did == 0


async def test_a_repeated_command_gets_the_answer_that_it_had(broker: Broker, tmp_path: Path) -> None:
    work = Work()
    async with asking(broker.port) as asker:
        async with running(tmp_path, _options(broker.port), carry_out=work.all) as rig:
            await asker.online()
            asker.ask("ping", "a1")
            first = (await asker.answer("a1")).said
            asker.ask("ping", "a1", within=-5)
            asker.ask("identify", "a1")
            await asker.until(3)
            assert asker.answers[1].said == first
            assert asker.answers[2].said["status"] == "duplicate"
            work.gate.clear()
            asker.ask("ping", "a2")
            await rig.until(lambda: work.did == 2)
            asker.ask("ping", "a2")
            await asker.until(4)
            assert (asker.answers[3].said["status"], asker.answers[3].said["reason"]) == (
                "duplicate",
                "running",
            )
        # this agent ended while a2 was carried out
        asker.answers.clear()
        async with running(tmp_path, _options(broker.port), carry_out=work.all) as rig:
            await asker.online()
            said = (await asker.answer("a2")).said
            assert (said["status"], said["reason"]) == ("error", "interrupted")
            asker.ask("ping", "a1")
            assert (await asker.answer("a1")).said == first
        assert work.did == 2


async def test_an_answer_waits_for_a_connection(broker: Broker, tmp_path: Path) -> None:
    work = Work()
    work.gate.clear()
    async with running(tmp_path, _options(broker.port), carry_out=work.all) as rig:
        async with asking(broker.port) as asker:
            await asker.online()
            asker.ask("ping", "a1")
            await rig.until(lambda: work.did == 1)
        await broker.stop()
        work.gate.set()
        await rig.until(lambda: not rig.uplink.status().connected)
        await broker.start()
        async with asking(broker.port) as asker:
            assert (await asker.answer("a1")).said["status"] == "ok"


async def test_without_a_clock_only_the_brokers_expiry_counts(broker: Broker, tmp_path: Path) -> None:
    work = Work()
    async with (
        running(tmp_path, _options(broker.port), clock=UnknownClock(), carry_out=work.all),
        asking(broker.port) as asker,
    ):
        await asker.online()
        asker.ask("ping", "a1")
        said = (await asker.answer("a1")).said
        assert (said["status"], said["reason"]) == ("rejected", "clock")
        asker.ask("ping", "a2", expiry=30)
        assert (await asker.answer("a2")).said["status"] == "ok"


async def test_too_many_commands_are_refused_and_may_come_again(broker: Broker, tmp_path: Path) -> None:
    work = Work()
    async with (
        running(tmp_path, _options(broker.port), carry_out=work.all),
        asking(broker.port) as asker,
    ):
        await asker.online()
        for n in range(30):
            asker.ask("ping", f"a{n}")
        await asker.until(30)
        refused = [answer.said for answer in asker.answers if answer.said["status"] == "rejected"]
        assert {said["reason"] for said in refused} <= {"rate", "busy"}
        assert work.did == 30 - len(refused) <= 21


async def test_a_backend_that_may_not_be_answered_holds_up_no_reading(tmp_path: Path) -> None:
    work = Work()
    async with broker_running(tmp_path / "broker", acl=True) as broker:
        broker.allow("topic readwrite #", f"topic deny {BASE}/reply/#")
        await broker.reload()
        async with (
            listening(broker.port) as heard,
            running(tmp_path, _options(broker.port), carry_out=work.all) as rig,
            asking(broker.port) as asker,
        ):
            await asker.online()
            asker.ask("ping", "a1")
            await rig.until(lambda: work.did == 1)
            rig.keep(5)
            await rig.drained()
            await heard.until(lambda: len(heard.readings()) == 1)
            assert rig.uplink.status().problem == ""


async def test_a_command_that_cannot_be_kept_is_not_carried_out(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work()
    async with (
        running(tmp_path, _options(broker.port), carry_out=work.all) as rig,
        asking(broker.port) as asker,
    ):
        await asker.online()

        async def full(*_: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(rig.outbox.commands, "take", full)
        asker.ask("ping", "a1")
        said = (await asker.answer("a1")).said
        assert (said["status"], said["reason"]) == ("rejected", "disk: database or disk is full")
        assert work.did == 0
