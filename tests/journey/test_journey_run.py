"""``edge-agent run`` on a real configuration: starts, stops, refuses, and is missed when it is killed."""

import asyncio
import json
import random
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.contract.topics import TOPICS
from edge_agent.demo import config, park
from edge_agent.demo.login import Login
from tests.contract.judge import broken, check_jsonschema, faults, schema_of
from tests.faults.broker import Broker, free_port
from tests.faults.broker import running as broker_running
from tests.faults.stub import NO_ACK, Behaviour, Stub
from tests.journey.programs import Program, edge_agent, kept, one_identity_each
from tests.uplink.rig import listening

pytestmark = pytest.mark.xdist_group("journey")

_STOP_WITHIN = 30  # six times what is promised: a limit, not a measure
_MUTATIONS = 1_000


@pytest.fixture(autouse=True)
def _needs() -> None:
    if shutil.which("mosquitto_sub") is None:
        pytest.fail("mosquitto_sub is missing; run make test as root, or apt-get install mosquitto-clients")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker") as served:
        yield served


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder with the demo's park running in it."""
    place = tmp_path / "gateway"
    place.mkdir()
    async with park.running(place):
        yield place


@asynccontextmanager
async def _agent(folder: Path, port: int, protocol: str = "auto", before: str = "") -> AsyncIterator[Program]:
    file = config.write(folder, Login(f"mqtt://127.0.0.1:{port}", "", ""), protocol)
    environment = {"CREDENTIALS_DIRECTORY": str(config.secrets_folder(folder))}
    run = ("run", "--config", str(file))
    async with edge_agent(*run, before=before, environment=environment) as program:
        yield program


async def _has_kept(folder: Path, at_least: int) -> None:
    """Wait until so many readings are on disk."""
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0.2)
            if sum(map(len, kept(folder / "outbox.db").values())) >= at_least:
                return


async def _stopped(program: Program, number: signal.Signals = signal.SIGTERM) -> str:
    program.process.send_signal(number)
    code, _, err = await program.over(_STOP_WITHIN)
    assert code == 0, err
    return err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_keeps_sends_and_says_goodbye(
    broker: Broker, folder: Path, number: signal.Signals
) -> None:
    async with listening(broker.port) as listener:
        async with _agent(folder, broker.port) as program:
            await listener.until(lambda: len(listener.of("data")) >= 3)
            err = await _stopped(program, number)
        assert "Traceback" not in err
        await listener.until(lambda: listener.of("status")[-1].payload["state"] == "stopped")
        await asyncio.sleep(0.3)
        rows = kept(folder / "outbox.db")
        arrived = {key: set(items) for key, items in listener.readings().items()}
        assert rows == arrived, "what was read is on disk, and what is on disk was sent"
    async with listening(broker.port, "-i", "late") as late:
        await late.until(lambda: late.of("status"))
        assert late.of("status")[-1].payload["state"] == "stopped"
        assert late.of("status")[-1].retained


async def test_a_stop_while_the_broker_is_away_keeps_what_was_read(folder: Path, tmp_path: Path) -> None:
    async with broker_running(tmp_path / "broker", start=False) as broker:
        async with _agent(folder, broker.port) as program:
            await _has_kept(folder, 10)
            await _stopped(program)
        before = kept(folder / "outbox.db")
        await broker.start()
        async with listening(broker.port) as listener:
            async with _agent(folder, broker.port) as program:
                await listener.until(
                    lambda: all(
                        seqs <= listener.readings().get(key, {}).keys() for key, seqs in before.items()
                    )
                )
                await _stopped(program)
            rows = kept(folder / "outbox.db")
            for key, seqs in rows.items():
                assert seqs == set(range(1, max(seqs) + 1))
                assert seqs >= before[key]
            one_identity_each(listener.readings())


async def test_a_stop_while_the_broker_swallows_all(folder: Path) -> None:
    withholding = Behaviour(verdict=lambda _message: NO_ACK)
    async with Stub(withholding) as stub, _agent(folder, stub.port) as program:
        await _has_kept(folder, 10)
        assert stub.heard.messages
        await _stopped(program)
    for seqs in kept(folder / "outbox.db").values():
        assert seqs == set(range(1, max(seqs) + 1))


async def test_a_stop_right_after_the_start(broker: Broker, folder: Path) -> None:
    async with listening(broker.port) as listener:
        async with _agent(folder, broker.port) as program:
            await listener.until(lambda: listener.of("status"))
            await _stopped(program)
        await listener.until(lambda: listener.of("status")[-1].payload["state"] == "stopped")


async def test_who_is_killed_is_told_by_the_will(broker: Broker, folder: Path) -> None:
    """3.1.1 has no delay of the will, so the test need not wait for it."""
    async with listening(broker.port) as listener:
        async with _agent(folder, broker.port, "3.1.1") as program:
            await listener.until(lambda: listener.of("data"))
            program.process.kill()
            await program.process.communicate()
        await listener.until(lambda: listener.of("status")[-1].payload["state"] == "offline")
        will = listener.of("status")[-1].payload
        assert (will["reason"], will["session"]) == ("will", 1)
        async with _agent(folder, broker.port, "3.1.1") as program:
            await listener.until(lambda: listener.statuses()[-1] == ("online", 2))
            await _stopped(program)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_all_that_is_published_is_what_the_contract_says(
    broker: Broker, folder: Path, protocol: str
) -> None:
    async with (
        listening(broker.port, "-V", "5", "--retain-as-published") as listener,
        _agent(folder, broker.port, protocol) as program,
    ):
        await listener.until(lambda: listener.of("data"))
        await broker.stop()
        await asyncio.sleep(2)
        await broker.start()
        await listener.until(lambda: listener.of("history"))
        await _stopped(program)
        await listener.until(lambda: listener.of("status")[-1].payload["state"] == "stopped")
    assert {heard.kind for heard in listener.heard} == {topic.name for topic in TOPICS} - {
        "loss",
        "cmd",
        "reply",
    }
    told = zip(listener.heard, faults([heard.payload for heard in listener.heard]), strict=True)
    assert [(heard, found) for heard, found in told if found] == []
    for kind in {heard.kind for heard in listener.heard}:
        files = [_written(folder, n, heard.payload) for n, heard in enumerate(listener.of(kind))]
        assert check_jsonschema("--schemafile", str(schema_of(kind)), *files) == ""
    wrong = [made for heard in listener.heard for made in broken(heard.kind, heard.payload)]
    wrong = random.Random(7).sample(wrong, min(len(wrong), _MUTATIONS))
    assert len(wrong) > 100
    refused = faults([said for _, said in wrong])
    assert [what for (what, _), why in zip(wrong, refused, strict=True) if not why] == []
    retained = {topic.name: topic.retain for topic in TOPICS}
    assert [heard for heard in listener.heard if heard.retained is not retained[heard.kind]] == []


def _written(folder: Path, number: int, payload: object) -> str:
    file = folder / f"message-{number}.json"
    file.write_text(json.dumps(payload), "utf-8")
    return str(file)


async def test_a_configuration_with_mistakes_is_refused_with_what_check_says(folder: Path) -> None:
    file = config.write(folder, Login(f"mqtt://127.0.0.1:{free_port()}", "", ""))
    text = (
        file.read_text("utf-8").replace("eastron_sdm120", "eastron_sdm12").replace("cabinet-a", "cabinet", 1)
    )
    wrong = folder / "wrong.toml"
    wrong.write_text(text, "utf-8")
    environment = {"CREDENTIALS_DIRECTORY": str(config.secrets_folder(folder))}
    async with edge_agent("run", "--config", str(wrong), environment=environment) as program:
        code, _, said = await program.over()
    async with edge_agent("check", "--config", str(wrong), environment=environment) as program:
        checked, out, err = await program.over()
    assert code == checked == 78
    assert said.splitlines() == (out + err).splitlines()
    assert len(said.splitlines()) >= 2
    assert all(line.startswith(f"{wrong}:") for line in said.splitlines())


async def test_two_agents_do_not_share_an_outbox(broker: Broker, folder: Path) -> None:
    async with _agent(folder, broker.port) as program:
        await _has_kept(folder, 1)
        async with _agent(folder, broker.port) as second:
            code, _, err = await second.over()
        assert code == 78
        assert "another agent is using this outbox" in err
        assert "Traceback" not in err
        await _stopped(program)


async def test_a_bug_ends_the_process_and_loses_nothing(broker: Broker, folder: Path) -> None:
    """Also one in a callback, which asyncio would only log: a half-alive agent looks like a healthy one."""
    bug = (
        "from edge_agent.uplink.sending import Sending\n"
        "def fail(self): raise RuntimeError('a bug')\n"
        "Sending._states_due = fail\n"
    )
    async with _agent(folder, broker.port, before=bug) as program:
        code, _, err = await program.over()
        assert code == 1
        assert "RuntimeError: a bug" in err
    async with listening(broker.port) as listener:
        async with _agent(folder, broker.port) as program:
            await listener.until(lambda: listener.of("data"))
            await _stopped(program)
        for seqs in kept(folder / "outbox.db").values():
            assert seqs == set(range(1, max(seqs) + 1))
