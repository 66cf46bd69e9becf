"""The last configuration that ran: kept without secrets, and found when the files cannot be used."""

from pathlib import Path

import pytest

from edge_agent.settings import last_good, secret
from edge_agent.settings.error import SettingsError
from edge_agent.settings.source import Source

TEXT = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
[outbox]
path = "{folder}/kept/outbox.db"
[uplink.city]
servers = ["mqtt://broker.example"]
username = "gw-01"
password = "in-clear-4711"
[uplink.park]
servers = ["mqtt://park.example"]
username = "gw-01"
password = {{ secret = "park-password" }}
[bus.a]
port = "/dev/ttyUSB0"
[bus.air]
ble = "hci0"
[device.meter]
driver = "modbus"
bus = "a"
settings = {{ profile = "eastron_sdm120", address = 7 }}
channel.power.plausible = [-inf, 5]
[device.soil]
driver = "bthome"
bus = "air"
settings = {{ address = "A4:C1:38:00:00:01", bindkey = "231d39c1d7cc1ab1aee224cd096db932" }}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(secret, "FOLDER", tmp_path / "secrets")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "park-password").write_text("referred-0815\n", "ascii")
    (tmp_path / "kept").mkdir()
    file = tmp_path / "agent.toml"
    file.write_text(TEXT.format(folder=tmp_path), "utf-8")
    source = Source(file)
    source.begin()
    source.ran()
    assert not source.problems
    return file


def _kept(file: Path) -> Path:
    return last_good.beside(file.parent / "kept" / "outbox.db")


def test_it_holds_no_secret_and_is_for_its_owner_alone(file: Path) -> None:
    text = _kept(file).read_text("utf-8")
    assert "park-password" in text
    for hidden in ("4711", "0815", "231d39c1"):
        assert hidden not in text
    assert _kept(file).stat().st_mode & 0o777 == 0o600


def test_it_is_written_only_when_it_changes(file: Path) -> None:
    before = _kept(file).stat()
    source = Source(file)
    source.begin()
    source.ran()
    assert _kept(file).stat().st_ino == before.st_ino


def test_a_file_that_cannot_be_used_is_answered_with_it(file: Path) -> None:
    right = Source(file).begin().config
    file.write_text(file.read_text("utf-8").replace("eastron_sdm120", "eastron_sdm12"), "utf-8")
    source = Source(file)
    found = source.begin()
    assert found.config == right, "what was written in clear is still there to be read"
    assert "eastron_sdm12" in source.problems[0].wrong
    assert not found.left_out
    with pytest.raises(SettingsError):
        Source(file, strict=True).begin()
    source.ran()
    assert Source(file).begin().config == right, "what cannot be used is never kept"


@pytest.mark.parametrize(
    "written", ['[outbox]\npath = "{}"', 'outbox.path = "{}"', 'outbox = {{ path = "{}" }}']
)
def test_the_outbox_is_found_however_it_is_written(file: Path, written: str) -> None:
    outbox = file.parent / "kept" / "outbox.db"
    file.write_text("config = 1\n" + written.format(outbox) + "\ncolour\n", "utf-8")
    assert Source(file).begin().config.gateway.id == "gw-01"


def test_what_was_in_clear_is_missing_where_the_file_is_no_toml(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(file.read_text("utf-8") + "colour\n", "utf-8")
    found = Source(file).begin()
    city, park = found.config.uplink["city"], found.config.uplink["park"]
    assert city.password is None
    assert park.password is not None
    assert park.password.get_secret_value() == "referred-0815"
    assert list(found.config.device) == ["meter"]
    assert [problem.key for problem in found.left_out] == ["device.soil.settings.bindkey"]
    assert "uplink.city.password: was written in clear" in caplog.text


def test_the_one_of_another_file_is_not_taken(file: Path) -> None:
    other = file.with_name("other.toml")
    other.write_text(TEXT.format(folder=file.parent).replace("config = 1", "config = 2"), "utf-8")
    with pytest.raises(SettingsError):
        Source(other).begin()


@pytest.mark.parametrize("spoilt", ["", "{", "[]", '{"of": 1}', '{"config": {}}'])
def test_one_that_is_broken_itself_is_not_taken(file: Path, spoilt: str) -> None:
    _kept(file).write_text(spoilt, "utf-8")
    file.write_text("colour\n", "utf-8")
    with pytest.raises(SettingsError) as caught:
        Source(file).begin()
    assert "agent.toml" in str(caught.value), "the file's own problems are told"
