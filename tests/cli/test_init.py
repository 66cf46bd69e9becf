"""``edge-agent init`` by flags and by questions, with a real broker that asks for a password."""

import asyncio
import os
import select
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.demo import broker as demo_broker
from edge_agent.demo import world
from edge_agent.demo.login import Login
from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from edge_agent.settings.load import load
from tests.cli.verb import Said, finished, started, verb

METER = "id=meter-7 driver=modbus port=/dev/ttyUSB0 profile=eastron_sdm120 address=7 name='Hall B feed'"
NARROW = ("--speeds", "9600 8N1", "--addresses", "1-2")
OFFLINE = ("--site", "east-park", "--gateway", "gw-01", "--yes")


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "secrets"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Login]:
    folder = tmp_path / "broker"
    folder.mkdir()
    login = demo_broker.own_login(folder)
    async with demo_broker.running(folder, login):
        yield login


async def answered(said: str, *words: str) -> Said:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge_agent", *words),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate(said.encode())
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


async def test_by_flags_it_asks_nothing(tmp_path: Path, secrets: Path, broker: Login) -> None:
    file, password = tmp_path / "agent.toml", tmp_path / "password"
    password.write_text(f"{broker.password}\n")
    said = await verb(
        "init", "-c", str(file), *OFFLINE, "--broker", broker.url, "--username", broker.username,
        "--password-file", str(password), "--device", METER,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "connected with MQTT 5" in said.out
    config = load(file)
    assert (config.gateway.site, config.gateway.id) == ("east-park", "gw-01")
    assert config.device["meter-7"].name == "Hall B feed"
    assert broker.password not in file.read_text("utf-8") + said.out + said.err
    secret = secrets / "city-password"
    assert (secret.read_text("utf-8"), stat.S_IMODE(secret.stat().st_mode)) == (f"{broker.password}\n", 0o640)
    assert (await verb("check", "-c", str(file))).code == 0


async def test_a_wrong_password_is_told_and_nothing_is_written(
    tmp_path: Path, secrets: Path, broker: Login
) -> None:
    file, password = tmp_path / "agent.toml", tmp_path / "password"
    password.write_text("wrong\n")
    flags = ("--broker", broker.url, "--username", broker.username, "--password-file", str(password))
    said = await verb("init", "-c", str(file), *OFFLINE, *flags)
    assert said.code == 2
    assert "the broker refuses the login (Not authorized); check username and password" in said.err
    assert not file.exists()
    secret = secrets / "city-password"
    assert not secret.exists()
    assert (await verb("init", "-c", str(file), *OFFLINE, *flags, "--untested")).code == 0
    assert file.exists()


async def test_by_questions_a_wrong_answer_is_asked_again(tmp_path: Path, broker: Login) -> None:
    """An id that is none, a broker that is none, a wrong password; then all is right."""
    file = tmp_path / "agent.toml"
    lines = [
        "East Park", "east-park", "gw-02",
        "not a broker", broker.url, broker.username, "wrong", "y",
        "", "", broker.password,
        *["n"] * 60,  # whatever this machine has for ports
    ]  # fmt: skip
    said = await answered("\n".join([*lines, ""]), "init", "-c", str(file))
    assert said.code == 0, said.out + said.err
    assert "such as 'east-park'" in said.out
    assert "is not a server; write" in said.out
    assert f"User name there [{broker.username}] (-: none): " in said.out  # and not that Enter is none
    config = load(file)
    assert config.uplink["city"].username == broker.username
    password = config.uplink["city"].password
    assert password is not None
    assert password.get_secret_value() == broker.password
    kept = tmp_path / ".agent.toml.answers"
    assert not kept.exists()


def test_a_password_is_not_shown_on_a_terminal(tmp_path: Path, secrets: Path) -> None:
    main, far = os.openpty()
    flags = ("--site", "east-park", "--gateway", "gw-01", "--broker", "mqtt://127.0.0.1", "--username", "me")
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "init", "-c", str(tmp_path / "agent.toml"), *flags, "--untested",
         "--device", METER],
        stdin=far, stdout=far, stderr=far, start_new_session=True,
    )  # fmt: skip
    os.close(far)
    shown = b""
    try:
        while select.select([main], [], [], 30)[0]:
            try:
                shown += os.read(main, 4096)
            except OSError:  # it has ended
                break
            if shown.endswith(b"none): "):
                os.write(main, b"hunter2-hidden\n")
                shown += b"\n"
        assert process.wait(30) == 0, shown
    finally:
        process.kill()
        process.wait(10)
        os.close(main)
    assert b"hunter2-hidden" not in shown
    assert (secrets / "city-password").read_text("utf-8") == "hunter2-hidden\n"


async def test_it_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    first = await answered("east-park\ngw-77\n", "init", "-c", str(file))
    assert first.code == 2
    assert "give everything with options and --yes" in first.err
    kept = tmp_path / ".agent.toml.answers"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    second = await answered("\n\n\n" + "n\n" * 60, "init", "-c", str(file))
    assert second.code == 0, second.err
    assert load(file).gateway.id == "gw-77"
    assert not kept.exists()


async def test_it_never_writes_over_a_file_unless_told(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("mine\n")
    said = await verb("init", "-c", str(file), *OFFLINE)
    assert (said.code, file.read_text("utf-8")) == (2, "mine\n")
    assert "give --force" in said.err
    assert (await verb("init", "-c", str(file), *OFFLINE, "--force")).code == 0
    assert (tmp_path / "agent.toml.before").read_text("utf-8") == "mine\n"
    assert load(file).gateway.id == "gw-01"


async def test_the_file_that_comes_with_an_installation_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text((Path(__file__).parents[2] / "config" / "agent.toml").read_text("utf-8"), "utf-8")
    assert (await verb("init", "-c", str(file), *OFFLINE, "--device", METER)).code == 0
    assert list(load(file).device) == ["meter-7"]
    kept = tmp_path / "agent.toml.before"
    assert kept.exists()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("--device", "driver=modbus port=/dev/x"), "lacks id"),
        (("--device", "id=m driver=modbus"), "one of port= and ble="),
        (("--device", METER, "--device", METER), "is given twice"),
        (("--site", "East Park"), "is not an id"),
        (("--broker", "ftp://x"), "is not a server"),
        (("--password-file", "nowhere", "--broker", "mqtt://127.0.0.1"), "cannot be read"),
    ],
)
async def test_what_is_wrong_with_a_flag_is_told(tmp_path: Path, wrong: tuple[str, ...], says: str) -> None:
    said = await verb("init", "-c", str(tmp_path / "agent.toml"), *OFFLINE, *wrong)
    assert (said.code, says in said.err) == (2, True), said.err
    assert not (tmp_path / "agent.toml").exists()


async def test_what_a_scan_finds_is_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    meter = unit(1, profile_text("modbus", "eastron_sdm120"), lambda: world.meter(1000.0))
    patient = "from edge_agent.cli import init_devices; init_devices._WITHIN_S = 3.0"  # of a busy machine
    with Wire(tmp_path / "near", tmp_path / "far", 9600) as wire, Slaves(wire.far, [meter]):
        words = ("init", "-c", str(file), *OFFLINE, "--scan", str(wire.near), *NARROW)
        async with started(*words, before=patient) as process:
            said = await finished(process)
    assert said.code == 0, said.out + said.err
    (found,) = load(file).device.values()
    assert found.settings == {"profile": "eastron_sdm120", "address": 1}
    assert "# now: voltage" in file.read_text("utf-8")
    assert os.fspath(wire.near) in file.read_text("utf-8")
