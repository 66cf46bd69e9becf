"""TLS against a real mosquitto, with certificates that the test makes."""

import asyncio
import logging
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.broker import Broker
from tests.faults.broker import running as broker_running
from tests.uplink.rig import running, settings


def _openssl(folder: Path, *arguments: str, offset: str = "+0") -> None:
    command = ["faketime", "-f", offset, "openssl", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30)


def _signed(folder: Path, name: str, *, days: str = "2", offset: str = "+0") -> None:
    """Make NAME.key and NAME.pem, signed by ca.pem by a clock that is wrong by ``offset``."""
    (folder / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    _openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    _openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", days, "-out", f"{name}.pem", "-extfile", f"{name}.ext", offset=offset,
    )  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, a server and a client, and a CA of somebody else."""
    for program in ("openssl", "faketime"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing; run make test as root, or apt-get install {program}")
    folder = tmp_path_factory.mktemp("keys")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-x509", "-days", "2")
    for name in ("ca", "other"):
        made = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN=test {name}")
        _openssl(folder, "req", *curve, *made)
    _signed(folder, "server")
    _signed(folder, "gw-01")
    _signed(folder, "early", offset="+1d")
    _openssl(folder, "ec", "-in", "gw-01.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
    return folder


@pytest.fixture
async def broker(keys: Path, tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker that lets in whom the CA has signed."""
    extra = [
        f"cafile {keys / 'ca.pem'}",
        f"certfile {keys / 'server.pem'}",
        f"keyfile {keys / 'server.key'}",
        "require_certificate true",
        "use_identity_as_username true",
    ]
    async with broker_running(tmp_path / "broker", extra=extra) as served:
        yield served


def _servers(broker: Broker, host: str = "127.0.0.1") -> dict[str, Any]:
    return {"servers": [f"mqtts://{host}:{broker.port}"]}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_with_a_ca_and_a_client_certificate(
    broker: Broker, keys: Path, tmp_path: Path, protocol: str
) -> None:
    own = {"ca": keys / "ca.pem", "cert": keys / "gw-01.pem", "key": keys / "gw-01.key", "protocol": protocol}
    async with running(tmp_path, settings(1, **_servers(broker), **own)) as rig:
        rig.keep(3000)
        await rig.drained()
        assert sorted(rig.numbers()) == [("meter-7", seq) for seq in range(1, 3001)]
        await broker.stop()
        rig.keep(1000)
        await rig.until(lambda: rig.outbox.kept == 4000)
        await broker.start()
        await rig.drained()
        await rig.uplink.stop(2.5)
    assert "'gw-01')" in broker.log.read_text("utf-8")  # as the certificate says
    assert broker.log.read_text("utf-8").count("Client gw-01 disconnected") == 1


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"ca": "other.pem"}, "self-signed certificate in certificate chain"),
        ({"ca": "ca.pem", "cert": "gw-01.pem", "key": "server.key"}, "belongs to cert"),
        ({"ca": "ca.pem", "cert": "gw-01.pem", "key": "locked.key"}, "no passphrase"),
        ({"ca": "gw-01.key"}, "PEM"),
        ({"ca": "ca.pem", "cert": "ca.key", "key": "gw-01.key"}, "PEM files"),
    ],
)
async def test_what_is_wrong_with_files_is_told(
    broker: Broker, keys: Path, tmp_path: Path, files: dict[str, str], told: str
) -> None:
    given = {name: keys / file for name, file in files.items()}
    async with running(tmp_path, settings(1, **_servers(broker), **given)) as rig:
        await rig.until(lambda: told in rig.uplink.status().problem)
        assert "secret" not in rig.uplink.status().problem


async def test_a_file_that_went_away_ends_nothing(broker: Broker, keys: Path, tmp_path: Path) -> None:
    """Certificates are renewed while the agent runs; for a moment there may be none."""
    mine = tmp_path / "mine"
    shutil.copytree(keys, mine)
    own = {"ca": mine / "ca.pem", "cert": mine / "gw-01.pem", "key": mine / "gw-01.key"}
    made = settings(1, **_servers(broker), **own)
    (mine / "gw-01.pem").unlink()
    async with running(tmp_path, made) as rig:
        await rig.until(lambda: "No such file" in rig.uplink.status().problem)


async def test_a_certificate_for_another_name_is_not_believed(
    broker: Broker, keys: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    own = {"ca": keys / "ca.pem", "cert": keys / "gw-01.pem", "key": keys / "gw-01.key"}
    async with running(tmp_path, settings(1, **_servers(broker, "localhost"), **own)) as rig:
        await rig.until(lambda: "TLS failed" in rig.uplink.status().problem)
        await asyncio.sleep(0.5)
        assert "connected to" not in caplog.text


async def test_a_port_that_does_not_speak_tls(tmp_path: Path, keys: Path) -> None:
    async with broker_running(tmp_path / "broker") as plain:
        own = {"ca": keys / "ca.pem"}
        async with running(tmp_path, settings(1, **_servers(plain), **own)) as rig:
            await rig.until(lambda: rig.uplink.status().problem not in {"", "not connected yet"})
            assert not rig.uplink.status().connected


async def test_a_certificate_that_is_not_yet_valid_is_tried_again(keys: Path, tmp_path: Path) -> None:
    """A gateway without a clock battery boots into the past; so it is for the broker's certificate."""
    mine = tmp_path / "mine"
    shutil.copytree(keys, mine)
    for suffix in ("pem", "key"):
        shutil.copy(mine / f"early.{suffix}", mine / f"served.{suffix}")
    extra = [f"certfile {mine / 'served.pem'}", f"keyfile {mine / 'served.key'}"]
    async with (
        broker_running(tmp_path / "broker", extra=extra) as served,
        running(tmp_path, settings(1, **_servers(served), ca=keys / "ca.pem")) as rig,
    ):
        rig.keep(10)
        await rig.until(lambda: "not yet valid" in rig.uplink.status().problem)
        for suffix in ("pem", "key"):
            shutil.copy(mine / f"server.{suffix}", mine / f"served.{suffix}")
        await served.stop()
        await served.start()
        await rig.drained()
        assert len(rig.numbers()) == 10
