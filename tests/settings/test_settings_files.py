"""One configuration of several places: agent.toml, conf.d beside it, and the environment."""

import os
from pathlib import Path

import pytest

from edge_agent.settings.error import SettingsError
from edge_agent.settings.load import load

GATEWAY = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
[bus.a]
port = "/dev/ttyUSB0"
"""
METER = """\
[device.meter]
driver = "modbus"
bus = "a"
settings = { profile = "eastron_sdm120", address = %d }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    file = tmp_path / "agent.toml"
    file.write_text(GATEWAY, "utf-8")
    return file


def _also(file: Path, name: str, text: str) -> Path:
    beside = file.parent / "conf.d" / name
    beside.write_text(text, "utf-8")
    return beside


def _refused(file: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(file)
    return [str(problem).replace(f"{file.parent}/", "") for problem in caught.value.problems]


def test_files_beside_add_buses_and_devices(file: Path) -> None:
    _also(file, "50-console.toml", METER % 7)
    _also(file, "60-more.toml", '[bus.b]\nport = "/dev/ttyUSB1"\nserial = "9600 8N1"\n')
    _also(file, ".50-console.toml.swp", "no TOML")
    _also(file, "notes.txt", "no TOML")
    config = load(file)
    assert list(config.device) == ["meter"]
    assert list(config.bus) == ["a", "b"]


def test_a_file_whose_name_is_no_text_is_told_as_text(file: Path) -> None:
    """Or the answer of a reload, and what MQTT says of it, could not be written."""
    _also(file, os.fsdecode(b"50-\xff.toml"), METER % 7)
    assert _refused(file) == [
        "conf.d: has a file whose name is not UTF-8 (50-\\xff.toml); give it another name"
    ]


def test_a_key_with_a_line_end_makes_no_line_of_its_own(file: Path) -> None:
    _also(file, "50-console.toml", '[device."a\\nERROR all is lost"]\ndriver = "modbus"\n')
    told = _refused(file)
    assert told[0].startswith('conf.d/50-console.toml:1: device."a\\nERROR all is lost": ')
    assert not any("\n" in problem for problem in told)


def test_one_id_in_two_files_names_both(file: Path) -> None:
    _also(file, "50-console.toml", METER % 7)
    _also(file, "60-more.toml", "\n" + METER % 8)
    assert _refused(file) == [
        "conf.d/60-more.toml:2: device.meter: stands in conf.d/50-console.toml:1 too; remove one"
    ]


@pytest.mark.parametrize(
    "table",
    ["config = 1", "[gateway]", "[outbox]", "[clock]", "[log]", "[uplink.x]", "[console]", "[nonsense]"],
)
def test_the_service_cannot_send_readings_or_secrets_elsewhere(file: Path, table: str) -> None:
    beside = _also(file, "50-console.toml", f"{table}\n")
    (problem,) = _refused(file)
    assert problem.startswith(f"conf.d/{beside.name}:1: {table.strip('[]').partition('.')[0].split()[0]}: ")
    assert "may not stand in conf.d" in problem


def test_every_problem_has_its_own_file_and_line(file: Path) -> None:
    file.write_text(GATEWAY + "colour = 1\n", "utf-8")
    _also(file, "50-console.toml", METER % 7 + 'interval = "soon"\n')
    _also(file, "60-more.toml", '[bus.b]\nport = "ttyUSB1"\n')
    told = _refused(file)
    places = [problem.split(": ")[0:2] for problem in told]
    assert places == [
        ["agent.toml:7", "bus.a.colour"],
        ["conf.d/50-console.toml:5", "device.meter.interval"],
        ["conf.d/60-more.toml:2", "bus.b.port"],
    ]


def test_files_that_are_no_toml_are_told_all_at_once(file: Path) -> None:
    file.write_text(GATEWAY + "colour\n", "utf-8")
    _also(file, "50-console.toml", "[[[")
    assert [problem.partition(": ")[0] for problem in _refused(file)] == [
        "agent.toml:7",
        "conf.d/50-console.toml:1",
    ]


def test_the_environment_overrides(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(GATEWAY + '[uplink.the-city]\nservers = ["mqtt://old"]\n', "utf-8")
    for name, value in {
        "GATEWAY__ID": "gw-02",
        "OUTBOX__MAX_SIZE": "64MB",
        "UPLINK__THE_CITY__SERVERS": '["mqtts://broker.example"]',
        "UPLINK__THE_CITY__SEND__WITHOUT": '["door-*"]',
        "UPLINK__PARK__SERVERS": '["mqtt://here"]',
        "BUS__A__PORT": "/dev/ttyS7",
        "LOG__LEVEL": '"debug"',
    }.items():
        monkeypatch.setenv(f"EDGE_AGENT__{name}", value)
    config = load(file)
    assert config.gateway.id == "gw-02"
    assert config.outbox.max_size == 64_000_000
    assert {name: [str(one) for one in up.servers] for name, up in config.uplink.items()} == {
        "the-city": ["mqtts://broker.example:8883"],
        "park": ["mqtt://here:1883"],
    }
    assert config.uplink["the-city"].send.without == ("door-*",)
    assert config.bus["a"].port == "/dev/ttyS7"
    assert config.log.level == "debug"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("GATEWAY", "x", "$EDGE_AGENT__GATEWAY: names no key that the environment may override"),
        ("DEVICE__METER__INTERVAL", "1s", "names no key that the environment may override"),
        ("GATEWAY__ID__X", "1", "names no key that the environment may override"),
        (
            "GATEWAY__IDD",
            "gw",
            "$EDGE_AGENT__GATEWAY__IDD: gateway.idd: is not a known key; did you mean id?",
        ),
        ("OUTBOX__WINDOW", "1", "$EDGE_AGENT__OUTBOX__WINDOW: outbox.window: is not a duration"),
        ("UPLINK__CITY__SERVERS", '["http://x"]', "$EDGE_AGENT__UPLINK__CITY__SERVERS: uplink.city.servers"),
        ("UPLINK__CITY__ROOT", "park/#", "$EDGE_AGENT__UPLINK__CITY__ROOT: uplink.city.root"),
    ],
)
def test_a_wrong_variable_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"EDGE_AGENT__{name}", value)
    assert any(told in problem for problem in _refused(file))


def test_a_secret_in_the_environment_is_not_shown(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT__UPLINK__CITY__PASSWORD", "[hunter2-hunter2]")
    monkeypatch.setenv("EDGE_AGENT__UPLINK__CITY__SERVERS", '["mqtt://u:hunter2-hunter2@here"]')
    assert not [problem for problem in _refused(file) if "hunter2" in problem]


@pytest.mark.parametrize("name", ["x" * 5000, "", "."])
def test_a_name_that_no_file_can_have_is_told(name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(Path(name))


def test_what_is_wrong_is_told_shortly_of_a_file_that_somebody_filled(tmp_path: Path) -> None:
    """It goes into the log and to the brokers."""
    file, long = tmp_path / "agent.toml", "a" * 50_000
    text = f'config = 1\ngateway = {{ site = "{long}", id = "gw-01" }}\n[device."{long}"]\n{long} = 1\n'
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert len(caught.value.problems) > 2
    assert max(len(str(problem)) for problem in caught.value.problems) < 1000


def test_what_is_no_file_in_conf_d_has_the_remedy_for_there(file: Path) -> None:
    beside = file.parent / "conf.d" / "50-more.toml"
    beside.symlink_to("gone.toml")
    told = "conf.d/50-more.toml: is a link to gone.toml, which is not there; take it out of conf.d"
    assert _refused(file) == [told]
    beside.unlink()
    beside.mkdir()
    assert _refused(file) == ["conf.d/50-more.toml: cannot be read (Is a directory); take it out of conf.d"]
