"""``edge-agent watch`` beside a real broker: what it counts, what it names, and how it ends."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.contract.examples import EXAMPLES
from tests.cli.verb import Said, finished, started, verb
from tests.consume.publishing import publish
from tests.contract.told import DEVICE, EPOCH, GATEWAY, data, loss, status, topic
from tests.faults.broker import Broker, free_port
from tests.faults.broker import running as broker_running
from tests.uplink.rig import running, settings


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_running(tmp_path / "broker") as served:
        yield served


@asynccontextmanager
async def _watching(broker: Broker, *more: str) -> AsyncIterator[Callable[[], Any]]:
    """Watch until told to end; what is yielded ends it and returns the exit code and the JSON object."""
    url = f"mqtt://127.0.0.1:{broker.port}"
    async with started("watch", "--broker", url, "--json", *more) as process:
        await broker.subscribed("watch-")

        async def end() -> tuple[int, dict[str, Any]]:
            await _heard(broker)
            process.send_signal(signal.SIGINT)
            said: Said = await finished(process)
            assert "Traceback" not in said.err, said.err
            return said.code, json.loads(said.out)

        yield end


async def _heard(broker: Broker) -> None:
    """Wait until who watches has acknowledged all that the broker has for it, which only its log tells."""
    sent, was = [0, 0], [-1, -1]
    async with asyncio.timeout(60):
        while sent != was or sent[0] != sent[1]:
            await asyncio.sleep(0.3)
            log = broker.log.read_text("utf-8", "replace").rpartition(" starting")[2]  # the last time
            was = sent
            sent = [
                len(re.findall(r"Sending PUBLISH to watch-\S+ \(d\d, q1", log)),
                log.count("Received PUBACK from watch-"),
            ]


@pytest.fixture
async def logged(tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker that logs who subscribes."""
    async with broker_running(tmp_path / "broker", extra=["log_type all"]) as served:
        yield served


async def test_a_real_agent_is_followed_without_a_gap(logged: Broker, tmp_path: Path) -> None:
    async with _watching(logged) as end, running(tmp_path, settings(logged.port)) as rig:
        await rig.connected()
        for _ in range(20):
            rig.keep(10)
            await asyncio.sleep(0.02)
        await logged.stop()
        rig.keep(100, "room-2")
        await logged.start()
        await logged.subscribed("watch-", 2)
        await rig.drained()
        code, said = await end()
    assert (code, said["readings"], said["missing"], said["refused"]) == (0, 300, 0, 0)
    assert (said["gateways"], said["gateways_gone"], said["devices_offline"]) == (1, [], [])
    assert said["latency_p50_ms"] is not None


async def test_a_gap_is_named_and_ends_with_1(logged: Broker) -> None:
    messages = [
        (topic("data"), data([11, 12], 10)),
        (topic("data"), data([12, 20], 19)),
        (topic("status"), status("offline", 1)),
        (topic("event"), json.dumps(EXAMPLES["event"]["offline"]).encode()),
        (topic("data"), b"{}"),
    ]
    async with _watching(logged) as end:
        publish(logged.port, messages)
        code, said = await end()
    assert (code, said["readings"], said["again"], said["missing"], said["refused"]) == (1, 3, 1, 7, 1)
    stream = {"gateway": GATEWAY, "device": DEVICE, "epoch": EPOCH}
    assert said["gaps"] == [stream | {"from_seq": 13, "to_seq": 19}]
    assert said["gateways_gone"] == [GATEWAY]
    assert [(told["device"], told["event"]) for told in said["events"]] == [(DEVICE, "offline")]


async def test_a_declared_loss_is_no_gap(logged: Broker) -> None:
    messages = [
        (topic("data"), data([11, 12], 10)),
        (topic("data"), data([20], 19)),
        (topic("loss"), loss(13, 19)),
    ]
    async with _watching(logged) as end:
        publish(logged.port, messages)
        code, said = await end()
    assert (code, said["missing"], said["closed"], said["lost"]) == (0, 0, 7, 7)


async def test_a_group_shares_the_readings_and_judges_nothing(logged: Broker) -> None:
    messages = [(topic("data"), data([number], number - 1)) for number in range(1, 101)]
    group = ("--share", "ingest")
    async with _watching(logged, *group) as one, _watching(logged, *group) as other:
        await logged.subscribed("watch-", 2)
        publish(logged.port, [(topic("status"), status("online", 1)), *messages])
        (_, first), (code, second) = await one(), await other()
    assert first["readings"] + second["readings"] == 100
    assert min(first["readings"], second["readings"]) > 0
    assert (code, first["missing"], first["gaps"], first["gateways"]) == (0, None, None, 1)


@pytest.mark.parametrize(
    ("options", "gaps"), [(["--no-replays"], [(51, 51)]), ([], [(3, 49), (51, 51)])], ids=["no replays", ""]
)
async def test_what_a_broker_forgot_is_judged_where_it_can_be_asked_for(
    tmp_path: Path, options: list[str], gaps: list[tuple[int, int]]
) -> None:
    forgetful = broker_running(tmp_path / "broker", persistence=False, extra=["log_type all"])
    async with forgetful as broker, _watching(broker, *options) as end:
        publish(broker.port, [(topic("data"), data([1, 2], 0))])
        await broker.stop()
        await broker.start()
        await broker.subscribed("watch-", 2)
        publish(broker.port, [(topic("data"), data([50], 49)), (topic("data"), data([52], 51))])
        code, said = await end()
    assert code == 1
    assert [(gap["from_seq"], gap["to_seq"]) for gap in said["gaps"]] == gaps


async def test_it_ends_by_itself_and_hearing_nothing_is_no_success(broker: Broker) -> None:
    said = await verb("watch", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--for", "1s", "--json")
    assert (said.code, json.loads(said.out)["readings"]) == (1, 0)


async def test_it_shows_lines_to_people(logged: Broker) -> None:
    url = f"mqtt://127.0.0.1:{logged.port}"
    async with started("watch", "--broker", url, "--protocol", "3.1.1") as process:
        await logged.subscribed("watch-")
        publish(logged.port, [(topic("data"), data([1], 0)), (topic("data"), data([3], 2))])
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"missing 1" not in await process.stdout.readline():
                pass
        process.send_signal(signal.SIGINT)
        said = await finished(process)
    assert said.code == 1
    assert said.out.splitlines()[-1] == f"missing: {GATEWAY}/{DEVICE} epoch {EPOCH} seq 2 to 2"


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A password file with one user of a broker."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.fail("mosquitto_passwd is missing; run make test as root, or apt-get install mosquitto")
    file = tmp_path / "users"
    made = [program, "-b", "-c", str(file), "ingest", "right"]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    file.chmod(0o644)
    return file


async def test_a_password_from_a_file_or_the_environment(
    users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("right\n", "utf-8")
    closed = ["allow_anonymous false", f"password_file {users}"]
    folder = tmp_path / "broker"
    async with broker_running(folder, extra=closed) as broker:
        words = ["watch", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--for", "1s", "--json"]
        given = await verb(*words, "--username", "ingest", "--password-file", str(secret))
        monkeypatch.setenv("EDGE_AGENT_PASSWORD", "wrong-one")
        refused = await verb(*words, "--username", "ingest")
        nobody = await verb(*words)
    assert json.loads(given.out)["readings"] == 0
    assert (refused.code, nobody.code) == (2, 2)
    assert "refuses the login" in refused.err
    assert "wrong-one" not in refused.err + nobody.err
    assert "--username" in nobody.err


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.fail("openssl is missing; run make test as root, or apt-get install openssl")
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    named = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "own.key", "-out", "own.pem"]
    command = [program, *made.split(), *named]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    return tmp_path / "own.pem", tmp_path / "own.key"


async def test_tls_believes_whom_it_is_told_to(own: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = own
    extra = [f"certfile {certificate}", f"keyfile {key}"]
    async with broker_running(tmp_path / "broker", extra=extra) as broker:
        words = ["watch", "--broker", f"mqtts://127.0.0.1:{broker.port}", "--for", "1s", "--json"]
        believed = await verb(*words, "--ca", str(certificate))
        refused = await verb(*words)
    assert (believed.code, json.loads(believed.out)["readings"]) == (1, 0)
    assert refused.code == 2
    assert "TLS failed" in refused.err


async def test_a_broker_that_cannot_be_used() -> None:
    away = await verb("watch", "--broker", f"mqtt://127.0.0.1:{free_port()}", "--for", "1s")
    wrong = await verb("watch", "--broker", "http://127.0.0.1", "--for", "1s")
    both = await verb("watch", "--broker", "mqtt://user:secret@127.0.0.1", "--for", "1s")
    assert (away.code, wrong.code, both.code) == (2, 2, 2)
    assert "no connection" in away.err
    assert "mqtt://host:port" in wrong.err
    assert "secret" not in both.err
