"""config/mosquitto in a real mosquitto: a gateway may do what it does, and nothing else."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.demo import mosquitto
from edge_agent.demo.login import Login
from edge_agent.settings.uplink import Uplink
from tests.faults.broker import free_port
from tests.uplink.keys import authority, signed
from tests.uplink.rig import BASE, Listener, listening, running, settings

_SAMPLE = Path(__file__).parents[2] / "config" / "mosquitto"
_PASSWORD = "a-password"
_USERS = ("gw-01", "gw-02", "ingest", "dashboard")
OTHER = "park/v1/east-park/gw-02"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A broker with the sample's files, and how to reach it."""

    gateways: int
    consumers: int
    ca: Path
    log: Path

    def options(self, user: str, password: str = _PASSWORD) -> tuple[str, ...]:
        """Return what mosquitto's clients need beside host and port."""
        return ("--cafile", str(self.ca), "-u", user, "-P", password)

    def uplink(self, **more: Any) -> Uplink:
        """Return the settings of gw-01."""
        own = {"servers": [f"mqtts://127.0.0.1:{self.gateways}"], "username": "gw-01", "password": _PASSWORD}
        return settings(1, **own, ca=self.ca, **more)

    async def publish(self, user: str, topic: str, *more: str, port: int = 0) -> str:
        """Publish a message of a user's; return what the program complains of."""
        return await _said(
            *("mosquitto_pub", "-h", "127.0.0.1", "-p", str(port or self.gateways), "-V", "5", "-q", "1"),
            *self.options(user), "-t", topic, *(more or ("-m", _message(topic))),
        )  # fmt: skip

    def witness(self, user: str = "ingest") -> Any:
        """Listen as somebody who consumes."""
        return listening(self.consumers, *self.options(user))


async def _open(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def _said(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return said.decode()


def _message(topic: str) -> str:
    return json.dumps({"forged": topic})


def _forged(listener: Listener) -> set[str]:
    """The topics on which something arrived that was not a gateway's own."""
    return {heard.topic for heard in listener.heard if "forged" in heard.payload}


def _die(broker: Guarded, topic: str) -> None:
    """Connect as gw-02 with a will, if that is let in, and end without a goodbye."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "gw-02", protocol=paho.MQTTv5)
    client.username_pw_set("gw-02", _PASSWORD)
    client.tls_set(str(broker.ca))
    client.will_set(topic, _message(topic), 1)
    answers: list[object] = []
    client.on_connect = lambda *told: answers.append(told[3])
    client.connect("127.0.0.1", broker.gateways)
    for _ in range(100):
        if answers or client.loop(0.2):
            break
    if (sock := client.socket()) is not None:
        sock.close()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Guarded]:
    """The sample, with its folders and ports replaced and nothing else."""
    program = mosquitto.find()
    if program is None or shutil.which("mosquitto_pub") is None:
        pytest.fail("mosquitto is missing; run make test as root, or apt-get install mosquitto-clients")
    place = tmp_path / "mosquitto"
    tls, store = place / "tls", place / "store"
    for folder in (tls, store):
        folder.mkdir(parents=True)
    authority(tls, "ca")
    signed(tls, "broker")
    shutil.copy(_SAMPLE / "acl", place / "acl")
    passwords = place / "passwd"
    passwords.write_text("".join(f"{user}:{_PASSWORD}\n" for user in _USERS), "ascii")
    assert await _said("mosquitto_passwd", "-U", str(passwords)) == ""
    ports = free_port(), free_port()
    text = (_SAMPLE / "edge-agent.conf").read_text("utf-8")
    for old, new in {
        "/etc/mosquitto": str(place),
        "/var/lib/mosquitto": str(store),
        "listener 8883": f"listener {ports[0]} 127.0.0.1",
        "listener 8884": f"listener {ports[1]} 127.0.0.1",
    }.items():
        assert old in text
        text = text.replace(old, new)
    log = place / "log"
    own = ["", f"log_dest file {log}", *(["user root"] if os.geteuid() == 0 else [])]
    configuration = place / "mosquitto.conf"
    configuration.write_text("\n".join([text, *own, ""]), "utf-8")
    login = Login(f"mqtt://127.0.0.1:{ports[0]}", "", "")
    served = mosquitto.Mosquitto("mosquitto", (program, "-c", str(configuration)), login, place / "out")
    await served.start()  # which waits for the first port
    await _open(ports[1])
    try:
        yield Guarded(*ports, tls / "ca.pem", log)
    finally:
        await served.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_gateway_may_do_all_that_it_does(broker: Guarded, tmp_path: Path, protocol: str) -> None:
    answered: list[str] = []

    async def ping(_args: object) -> dict[str, Any]:
        answered.append("ping")
        return {"uptime_s": 1}

    uplink = broker.uplink(protocol=protocol, commands=True)
    async with broker.witness() as witness, running(tmp_path, uplink, carry_out={"ping": ping}) as rig:
        await rig.connected()
        rig.keep(100)
        await rig.drained()
        await witness.until(lambda: len(witness.readings()) == 1 and witness.of("state"))
        ask = {"schema": "park.cmd/1", "id": "1", "name": "ping", "deadline": rig.gateway.now().ts + 60_000}
        await broker.publish("ingest", f"{BASE}/cmd/ping", "-m", json.dumps(ask), port=broker.consumers)
        await witness.until(lambda: witness.of("reply"))
        assert witness.of("reply")[0].payload["status"] == "ok"
        assert answered == ["ping"]
        assert {heard.kind for heard in witness.heard} >= {"status", "meta", "state", "data", "cmd", "reply"}
        assert rig.uplink.status().problem == ""


async def test_a_gateway_cannot_write_what_is_not_its_own(broker: Guarded, tmp_path: Path) -> None:
    """Nor command itself. Each is tried by a program that is not ours, and said to be refused."""
    kinds = ["status", "health", *(f"{kind}/x" for kind in ("meta", "state", "data", "history", "loss"))]
    kinds += ["event/x", "reply/x", "cmd/ping"]
    forbidden = [f"{BASE}/{kind}" for kind in kinds]
    forbidden += [f"{OTHER}/cmd/ping", f"{OTHER}/other", "park/v1/west-park/gw-02/data/x", "other"]
    async with broker.witness() as witness, running(tmp_path, broker.uplink(commands=True)) as rig:
        await rig.connected()
        for topic in forbidden:
            assert "Not authorized" in await broker.publish("gw-02", topic), topic
            await broker.publish("gw-02", topic, "-r", "-n")  # nor take away what is retained
        await broker.publish("gw-02", f"{OTHER}/data/last")  # may: so those before it were refused in between
        await witness.until(lambda: f"{OTHER}/data/last" in _forged(witness))
        assert _forged(witness) == {f"{OTHER}/data/last"}
        assert rig.uplink.status().connected
    async with broker.witness() as late:
        await late.until(lambda: late.of("meta"))
        assert {heard.topic.split("/")[3] for heard in late.of("status")} == {"gw-01"}


async def test_a_gateway_cannot_leave_a_will_for_another(broker: Guarded) -> None:
    """Its last word may stand on its own status only."""
    async with broker.witness() as witness:
        for topic in (f"{BASE}/status", f"{OTHER}/cmd/ping", f"{OTHER}/status"):
            await asyncio.to_thread(_die, broker, topic)
        await witness.until(lambda: f"{OTHER}/status" in _forged(witness))
        assert _forged(witness) == {f"{OTHER}/status"}


@pytest.mark.parametrize(
    "filters",
    [
        ["#", "$SYS/#"],
        [f"{BASE}/cmd/#", f"{OTHER}/cmd/#"],
        ["park/v1/+/+/cmd/#"],
        ["$share/ingest/park/v1/+/+/cmd/#"],
    ],
)
async def test_a_gateway_reads_only_its_own_commands(broker: Guarded, filters: list[str]) -> None:
    options = [word for one in filters for word in ("-t", one)]
    own = f"{OTHER}/cmd/last"
    async with listening(broker.gateways, *broker.options("gw-02"), *options) as snoop:
        for topic in (f"{BASE}/cmd/ping", f"{BASE}/reply/x", f"{BASE}/data/x", own):
            user, port = ("ingest", broker.consumers) if "/cmd/" in topic else ("gw-01", 0)
            assert "Not authorized" not in await broker.publish(user, topic, port=port)
        await snoop.until(lambda: snoop.heard)
        assert _forged(snoop) == {own}


async def test_a_gateway_cannot_take_another_over(broker: Guarded, tmp_path: Path) -> None:
    """Nor anybody without a password do anything, nor a dashboard more than look."""
    async with running(tmp_path, broker.uplink()) as rig:
        await rig.connected()
        session = rig.uplink._sending
        said = await broker.publish("gw-02", f"{OTHER}/data/x", "-m", "{}", "-i", "gw-01")
        assert "Not authorized" not in said
        for options in (broker.options("gw-01", "guessed"), ("--cafile", str(broker.ca))):
            guess = "mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.gateways), "-V", "5", "-i", "gw-01"
            assert "not authorized" in (await _said(*guess, *options, "-t", "x", "-n")).lower()
        for topic in (f"{BASE}/cmd/ping", f"{BASE}/data/x"):
            said = await broker.publish("dashboard", topic, port=broker.consumers)
            assert "Not authorized" in said
        assert rig.uplink._sending is session, "it is the same connection still"


async def test_a_dashboard_hears_no_readings(broker: Guarded, tmp_path: Path) -> None:
    async with broker.witness("dashboard") as looking, running(tmp_path, broker.uplink()) as rig:
        rig.keep(10)
        await rig.drained()
        await looking.until(lambda: looking.of("state") and looking.of("meta"))
        assert {heard.kind for heard in looking.heard} == {"status", "meta", "state"}
