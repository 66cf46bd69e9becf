"""The demo's agent.toml is one that the agent takes, and is the demo's own."""

import stat
from pathlib import Path

import pytest

from edge_agent.demo import config, on_air
from edge_agent.demo.broken import DemoError
from edge_agent.demo.login import Login
from edge_agent.settings.load import load

_LOGIN = Login("mqtt://127.0.0.1:18830", "demo", 'se"cret')


def test_the_agent_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(config.secrets_folder(tmp_path)))
    loaded = load(config.write(tmp_path, _LOGIN))
    assert loaded.gateway.site == "demo-park"
    assert loaded.uplink["city"].username == "demo"
    assert loaded.uplink["city"].protocol == "auto"
    assert loaded.outbox.path == tmp_path / "outbox.db"
    assert set(loaded.device) == {"meter-1", "meter-2", "climate-1", "radar-1"}
    assert loaded.device["meter-1"].interval == 2.0


def test_the_agent_takes_it_with_sensors_that_broadcast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = config.secrets_folder(tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secrets))
    with on_air.running(tmp_path, secrets) as missing:
        loaded = load(config.write(tmp_path, _LOGIN, ble=True))
    assert missing == ""
    on_the_air = {id_ for id_, device in loaded.device.items() if device.bus == "radio"}
    assert on_the_air == {"air-1", "motion-1", "stairs-1", "roof-1", "store-1"}
    key = secrets / on_air.STORE_KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text() not in (tmp_path / "agent.toml").read_text()


def test_a_broker_that_takes_anybody_needs_no_secret(tmp_path: Path) -> None:
    loaded = load(config.write(tmp_path, Login("mqtt://10.0.0.1:1883", "", "")))
    assert loaded.uplink["city"].username is None


def test_the_password_is_the_owners_alone(tmp_path: Path) -> None:
    file = config.write(tmp_path, _LOGIN)
    secret = tmp_path / "secrets" / "demo-broker"
    assert secret.read_text() == _LOGIN.password
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert _LOGIN.password not in file.read_text()


def test_it_is_written_anew_but_never_over_somebody_elses(tmp_path: Path) -> None:
    config.write(tmp_path, _LOGIN)
    file = config.write(tmp_path, Login("mqtt://127.0.0.1:18831", "demo", "x"))
    assert "18831" in file.read_text()
    file.write_text("config = 1\n")
    with pytest.raises(DemoError, match="--dir"):
        config.write(tmp_path, _LOGIN)
    assert file.read_text() == "config = 1\n"


def test_any_name_of_a_directory_can_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "公园 🌳"
    folder.mkdir()
    assert load(config.write(folder, Login("mqtt://10.0.0.1:1883", "", ""))).outbox.path.parent == folder
