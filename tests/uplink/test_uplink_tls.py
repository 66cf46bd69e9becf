"""TLS against a real mosquitto, and for its records Python's; with certificates that the test makes."""

import asyncio
import logging
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edge_agent.clock import today
from edge_agent.settings.uplink import Uplink
from edge_agent.uplink.message import Incoming, Outgoing
from edge_agent.uplink.mqtt import Session
from tests.faults import wire
from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.faults.stub import Behaviour, Stub
from tests.uplink.keys import BROKER_NAME, made
from tests.uplink.rig import Rig, running, settings

NEW = {"", "not connected yet"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all the keys and certificates."""
    return made(tmp_path_factory.mktemp("keys"))


def _serving(keys: Path, name: str = "server", *, asking: bool = False) -> list[str]:
    """Lines of a broker that shows this certificate; ``asking``: and lets in whom the CA has signed."""
    lines = [f"certfile {keys / name}.pem", f"keyfile {keys / name}.key"]
    if asking:
        lines += [f"cafile {keys / 'ca.pem'}", "require_certificate true", "use_identity_as_username true"]
    return lines


@pytest.fixture
async def broker(keys: Path, tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker that lets in whom the CA has signed."""
    async with broker_running(tmp_path / "broker", extra=_serving(keys, asking=True)) as served:
        yield served


def _servers(port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    return {"servers": [f"mqtts://{host}:{port}"]}


def _own(folder: Path, name: str = "gw-01") -> dict[str, Any]:
    return {"ca": folder / "ca.pem", "cert": folder / f"{name}.pem", "key": folder / f"{name}.key"}


async def _problem(rig: Rig) -> str:
    await rig.until(lambda: rig.uplink.status().problem not in NEW)
    return rig.uplink.status().problem


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_with_a_ca_and_a_client_certificate(
    broker: Broker, keys: Path, tmp_path: Path, protocol: str
) -> None:
    async with running(
        tmp_path, settings(1, **_servers(broker.port), **_own(keys), protocol=protocol)
    ) as rig:
        rig.keep(3000)
        await rig.drained()
        assert sorted(rig.numbers()) == [("meter-7", seq) for seq in range(1, 3001)]
        await broker.stop()
        rig.keep(1000)
        await rig.until(lambda: rig.outbox.kept == 4000)
        await broker.start()
        await rig.drained()
        await rig.uplink.stop(30)
        await rig.until(lambda: broker.log.read_text("utf-8").count("Client gw-01 disconnected") == 1)
    assert "'gw-01')" in broker.log.read_text("utf-8")  # as the certificate says


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"ca": "other.pem"}, "an authority not known here (self-signed certificate in certificate chain)"),
        ({}, "an authority not known here"),
        ({"ca": "ca.pem", "cert": "gw-01.pem", "key": "server.key"}, "key does not belong to cert"),
        ({"ca": "ca.pem", "cert": "gw-01.pem", "key": "locked.key"}, "no passphrase"),
        ({"ca": "gw-01.key"}, "ca cannot be used"),
        ({"ca": "ca.pem", "cert": "ca.key", "key": "gw-01.key"}, "cert or key cannot be used"),
        ({"ca": "ca.pem"}, "the broker asks for a client certificate; set cert and key"),
        (
            {"ca": "ca.pem", "cert": "stranger.pem", "key": "stranger.key"},
            "does not know the authority of our certificate",
        ),
        ({"ca": "ca.pem", "cert": "late.pem", "key": "late.key"}, "our certificate has expired; renew cert"),
    ],
)
async def test_what_is_wrong_with_our_files_is_told(
    broker: Broker, keys: Path, tmp_path: Path, files: dict[str, str], told: str
) -> None:
    given = {name: keys / file for name, file in files.items()}
    async with running(tmp_path, settings(1, **_servers(broker.port), **given, protocol="5")) as rig:
        problem = await _problem(rig)
        assert told in problem
        assert problem.startswith(f"mqtts://127.0.0.1:{broker.port}: ")
        assert "secret" not in problem


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("named", "the broker's certificate is for another name (IP address mismatch"),
        ("late", f"has expired by this gateway's clock, which says {today()[:4]}"),
        ("early", f"is not yet valid by this gateway's clock, which says {today()[:4]}"),
    ],
)
async def test_what_is_wrong_with_the_brokers_certificate_is_told(
    keys: Path, tmp_path: Path, name: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        broker_running(tmp_path / "broker", extra=_serving(keys, name)) as served,
        running(tmp_path, settings(1, **_servers(served.port), ca=keys / "ca.pem")) as rig,
    ):
        assert told in await _problem(rig)
        await asyncio.sleep(0.5)
        assert "connected to" not in caplog.text
        assert caplog.text.count("TLS failed") == 1, "said once, though it tries again"


async def test_a_broker_of_old_is_told(keys: Path, tmp_path: Path) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(keys / "server.pem", keys / "server.key")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)

        def serve() -> None:
            with listening.accept()[0] as plain, suppress(OSError):
                old.wrap_socket(plain, server_side=True).close()

        serving = asyncio.create_task(asyncio.to_thread(serve))
        async with running(tmp_path, _to(listening.getsockname()[1], keys)) as rig:
            assert "does not speak TLS 1.2 or newer" in await _problem(rig)
        await serving


async def test_a_port_that_does_not_speak_tls(tmp_path: Path, keys: Path) -> None:
    async with (
        broker_running(tmp_path / "broker") as plain,
        running(tmp_path, _to(plain.port, keys)) as rig,
    ):
        assert "or mqtt:// without TLS" in await _problem(rig)
        assert not rig.uplink.status().connected


async def test_the_name_of_a_broker_that_is_reached_by_its_address(keys: Path, tmp_path: Path) -> None:
    """``server_name`` is asked for (SNI) and believed; ``alpn`` is offered, and one of it agreed on."""
    names: list[str | None] = []
    theirs = _server_side(keys, "named")
    theirs.set_alpn_protocols(["mqtt"])
    theirs.sni_callback = lambda _sock, name, _context: names.append(name)
    own = {"ca": keys / "ca.pem", "server_name": BROKER_NAME, "alpn": ["x-other", "mqtt"]}
    async with Stub(tls=theirs) as stub, running(tmp_path, settings(1, **_servers(stub.port), **own)) as rig:
        await rig.connected()
        assert rig.uplink._sending is not None
        ours = rig.uplink._sending.in_flight._session._sock
        assert isinstance(ours, ssl.SSLSocket)
        assert ours.selected_alpn_protocol() == "mqtt"
    assert names == [BROKER_NAME]


async def test_a_certificate_may_be_pinned_itself(keys: Path, tmp_path: Path) -> None:
    async with (
        Stub(tls=_server_side(keys)) as stub,
        running(tmp_path, settings(1, **_servers(stub.port), ca=keys / "server.pem")) as rig,
    ):
        await rig.connected()


async def test_files_are_read_again_for_each_connection(broker: Broker, keys: Path, tmp_path: Path) -> None:
    """Certificates are renewed while the agent runs; for a moment there may be none."""
    mine = tmp_path / "mine"
    shutil.copytree(keys, mine)
    own = settings(1, **_servers(broker.port), **_own(mine))
    (mine / "gw-01.pem").unlink()
    async with running(tmp_path, own) as rig:
        await rig.until(lambda: "No such file" in rig.uplink.status().problem)
        shutil.copy(keys / "gw-01.pem", mine / "gw-01.pem")
        await rig.connected()
        for suffix in ("pem", "key"):
            shutil.copy(keys / f"gw-02.{suffix}", mine / f"gw-01.{suffix}")
        await broker.stop()
        await broker.start()
        await rig.connected()
        await rig.until(lambda: "'gw-02')" in broker.log.read_text("utf-8"))


async def test_a_certificate_that_is_not_yet_valid_is_tried_again(keys: Path, tmp_path: Path) -> None:
    """A gateway without a clock battery boots into the past; so it is for the broker's certificate.

    Once the clock is set it does not wait any longer.
    """
    mine = tmp_path / "mine"
    shutil.copytree(keys, mine)
    for suffix in ("pem", "key"):
        shutil.copy(mine / f"early.{suffix}", mine / f"served.{suffix}")
    async with (
        broker_running(tmp_path / "broker", extra=_serving(mine, "served")) as served,
        running(tmp_path, settings(1, **_servers(served.port), ca=keys / "ca.pem"), retry=1e6) as rig,
    ):
        rig.keep(10)
        await rig.until(lambda: "not yet valid" in rig.uplink.status().problem)
        for suffix in ("pem", "key"):
            shutil.copy(mine / f"server.{suffix}", mine / f"served.{suffix}")
        await served.stop()
        await served.start()
        rig.uplink.clock_set()
        await rig.drained()
        assert len(rig.numbers()) == 10


async def test_all_of_a_record_is_heard_and_what_is_longer_than_one(keys: Path) -> None:
    """A record holds up to 16 KiB: many small packets, or a part of a large one. After it, silence."""
    small = [wire.made(wire.PUBLISH << 4, wire.text(f"t/{n}") + b"\0" + bytes([n]) * 200) for n in range(70)]
    large = wire.made(wire.PUBLISH << 4, wire.text("large") + b"\0" + bytes(100_000))
    heard: list[Incoming] = []
    complete = asyncio.Event()

    def hear(message: Incoming) -> None:
        heard.append(message)
        if len(heard) == 141:
            complete.set()

    burst = b"".join([*small, large, *small])
    async with Stub(Behaviour(burst=burst), _server_side(keys)) as stub:
        own = _to(stub.port, keys)
        session = Session(own, "5", Outgoing("will", b"", expiry=60))
        await session.connect(own.servers[0])
        session.listen(hear)
        session.subscribe("#")
        async with asyncio.timeout(60):
            await complete.wait()
        session.close()
    assert [len(message.payload) for message in heard] == [*[200] * 70, 100_000, *[200] * 70]


def _server_side(keys: Path, name: str = "server") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / f"{name}.pem", keys / f"{name}.key")
    return context


def _to(port: int, keys: Path) -> Uplink:
    return settings(1, **_servers(port), ca=keys / "ca.pem")
