"""Loading: what a good file becomes, and every way a file can be wrong, with line, key and remedy."""

import os
import traceback
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.driver import Over
from edge_agent.settings.error import SettingsError
from edge_agent.settings.fields import Server
from edge_agent.settings.load import load
from edge_agent.settings.model import Config
from edge_agent.settings.resolve import format_of, opened
from edge_agent.settings.secret import FOLDER

GATEWAY = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
"""
METER = """\
[bus.a]
port = "/dev/ttyUSB0"
[device.meter]
driver = "modbus"
bus = "a"
settings = { profile = "eastron_sdm120", address = 7 }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def loaded(file: Path, text: str) -> Config:
    file.write_text(GATEWAY + dedent(text), "utf-8")
    return load(file)


def refused(file: Path, text: str, before: str = GATEWAY) -> list[str]:
    """Return the problems of a file, each without the file's name; line 1 is the first line of ``text``."""
    file.write_text(before + dedent(text), "utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file)
    skipped = before.count("\n")
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [
        f"{problem.line - skipped}: {problem.key}: {problem.wrong}; {problem.remedy}"
        for problem in caught.value.problems
    ]


def test_the_smallest_file_is_enough(file: Path) -> None:
    config = loaded(file, "")
    assert (config.gateway.site, config.gateway.id) == ("east-park", "gw-01")
    assert (config.outbox.window, config.outbox.memory, config.outbox.max_size) == (1.0, 20_000, 512_000_000)
    assert not config.uplink
    assert not config.bus
    assert not config.device


def test_a_whole_file_becomes_plain_values(file: Path) -> None:
    config = loaded(
        file,
        METER
        + """\
        interval = "2m"
        channel.power.calibrate.points = [[0, 0], [100, 101.5]]
        channel.power.plausible = [-inf, 5]
        [uplink.city]
        servers = ["mqtts://broker.example", "mqtt://[::1]:1884/"]
        """,
    )
    device = config.device["meter"]
    assert device.interval == 120
    assert device.expect is None
    power = device.channel["power"]
    assert list(power.plausible or ()) == [float("-inf"), 5]
    assert power.calibrate
    assert list(power.calibrate.points or ()) == [(0, 0), (100, 101.5)]
    uplink = config.uplink["city"]
    assert uplink.servers == (Server("broker.example", 8883, tls=True), Server("::1", 1884, tls=False))
    assert [str(server) for server in uplink.servers] == ["mqtts://broker.example:8883", "mqtt://[::1]:1884"]
    assert uplink.client_id == "east-park-gw-01-city"


def test_a_device_is_opened_and_its_bus_has_its_format(file: Path) -> None:
    config = loaded(file, METER)
    driver, device = opened(config.device["meter"])
    assert driver.over is Over.REGISTERS
    assert "power" in {channel.name for channel in device.channels}
    assert str(format_of(config.bus["a"], config.device.values())) == "2400 8N1"
    told = loaded(file, METER.replace('"/dev/ttyUSB0"', '"/dev/ttyUSB0"\nserial = "9600 8E1"'))
    assert str(format_of(told.bus["a"], told.device.values())) == "9600 8E1"


def test_planned_keys_are_accepted_where_they_ask_for_nothing(file: Path) -> None:
    config = loaded(
        file,
        METER
        + """\
        class = "normal"
        when_full = "oldest"
        [bus.b]
        port = "/dev/ttyUSB1"
        direction = "auto"
        [uplink.city]
        servers = ["mqtt://b"]
        commands = false
        dialects = []
        [console]
        listen = ""
        [metrics]
        """,
    )
    assert config.device.keys() == {"meter"}


PLANNED = "is not supported by this version (it is planned); remove it"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[uplink.c]\nservers = ["mqtt://b"]\nsend = { devices = ["*"] }', [f"3: uplink.c.send: {PLANNED}"]),
        ('[uplink.c]\nservers = ["mqtt://b"]\ncommands = true', [f"3: uplink.c.commands: {PLANNED}"]),
        ('[uplink.c]\nservers = ["mqtt://b"]\ncommands = 0', [f"3: uplink.c.commands: {PLANNED}"]),
        (
            '[bus.r]\nble = "hci0"\nscan = "passive"',
            [f"2: bus.r.ble: {PLANNED}", f"3: bus.r.scan: {PLANNED}"],
        ),
        (METER + 'class = "bulk"', [f"7: device.meter.class: {PLANNED}"]),
        (METER + 'channel.power.hold = "30s"', [f"7: device.meter.channel.power.hold: {PLANNED}"]),
        (
            METER + "channel.power.alarm.x = { above = 1 }",
            [f"7: device.meter.channel.power.alarm: {PLANNED}"],
        ),
        ('[console]\nlisten = ":80"', [f"2: console.listen: {PLANNED}"]),
    ],
)
def test_planned_keys_are_refused_where_they_ask_for_something(
    file: Path, text: str, expected: list[str]
) -> None:
    assert refused(file, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[outbx]", "1: outbx: is not a known key; did you mean outbox?"),
        ("[outbox]\nwindw = '1s'", "2: outbox.windw: is not a known key; did you mean window?"),
        ("[log]\ncolour = 1", "2: log.colour: is not a known key; known here: level"),
        (
            "[outbox]\n\nwindow = 1",
            "3: outbox.window: is not a duration; write a number and ms, s, m, h or d in",
        ),
        ("[outbox]\nwindow = '49ms'", '2: outbox.window: is out of range; write "50ms" to "1m"'),
        ("[outbox]\npath = 'outbox.db'", "2: outbox.path: is not a full path; begin it with /"),
        (
            "[outbox]\nmemory = 5",
            '2: outbox.memory: is not a number of readings; write it as "20000 readings"',
        ),
        (
            "[clock]\ntrust = 'me'",
            "2: clock.trust: is not one of the choices; write 'kernel', 'rtc' or 'always'",
        ),
        (
            "[bus.'A 1']\nport = '/dev/x'",
            "1: bus.\"A 1\": 'A 1' is not an id; write at most 63 of a-z, 0-9, - and _, the first",
        ),
        ("[bus.a]\nport = 'ttyUSB0'", "2: bus.a.port: is not a full path; begin it with /"),
        ("[bus.a]\nport = 'socket://h:1'", "2: bus.a.port: port 'socket://h:1': socket:// is not supported"),
        ("[bus.a]", "1: bus.a.port: is missing; add port = ... to [bus.a]"),
        ("[bus.a]\nport = '/dev/x'\nserial = '9600'", "3: bus.a.serial: '9600' is no serial format; write"),
        (
            "[bus.a]\nport = '/dev/x'\n[bus.b]\nport = '/dev/../dev/x'",
            "4: bus.b.port: is the port of bus 'a' too; a port has one bus",
        ),
        ("[uplink.u]\nservers = []", "2: uplink.u.servers: is too short; at least 1 are needed"),
        (
            "[uplink.u]\nservers = [\n'mqtt://b',\n'http://b']",
            '2: uplink.u.servers[1]: is not a server; write "mqtt://host:port"',
        ),
        (
            "[uplink.u]\nservers = ['mqtt://b/x']",
            "2: uplink.u.servers[0]: has more than a host and a port; write",
        ),
        ("[uplink.u]\nservers = ['mqtt://b:99999']", "2: uplink.u.servers[0]: is not a server; write"),
        ("[uplink.u]\nservers = 'mqtt://b'", "2: uplink.u.servers: is not a list; put it in [ ]"),
        (
            "[uplink.u]\nservers = ['mqtt://b']\nroot = '/a'",
            "3: uplink.u.root: cannot begin topics; write words",
        ),
        (
            "[uplink.u]\nservers = ['mqtt://b']\npassword = 'x'",
            "1: uplink.u: has a password without a username; add",
        ),
        (
            "[uplink.u]\nservers = ['mqtt://b']\nca = '/x/ca.pem'",
            "3: uplink.u.ca: cannot be read (No such file or directory); put",
        ),
        (
            "[uplink.u]\nservers = ['mqtts://b']\nkey = '/dev/null'",
            "1: uplink.u: has a key without a certificate; add cert =",
        ),
        (
            "[uplink.u]\nservers = ['mqtt://b']\nca = '/dev/null'",
            "1: uplink.u: has certificates but no server with TLS; write",
        ),
        (
            METER.replace('"modbus"', '"modbuss"'),
            "4: device.meter.driver: there is no driver 'modbuss'; did you mean modbus?",
        ),
        (
            METER.replace('bus = "a"', 'bus = "aa"'),
            "5: device.meter.bus: there is no bus 'aa'; did you mean a?",
        ),
        (
            METER.replace("sdm120", "sdm12"),
            "6: device.meter.settings.profile: there is no profile 'eastron_sdm12'; did you mean eastron_",
        ),
        (
            METER.replace(", address = 7", ""),
            "6: device.meter.settings.address: is missing; add address = ... to [device.meter.settings]",
        ),
        (
            METER.replace("address = 7", "address = 7, ct_rato = 2"),
            "6: device.meter.settings.ct_rato: is not a known key; did you mean ct_ratio",
        ),
        (
            METER.replace("7", "999"),
            "6: device.meter.settings.address: is not accepted; input should be less than or equal to 248",
        ),
        (
            METER + "channel.powr.name = 'x'",
            "7: device.meter.channel.powr: is no channel of this device; did you mean power",
        ),
        (METER + "interval = '10ms'", '7: device.meter.interval: is out of range; write "100ms" to "31d"'),
        (
            METER + "channel.power.plausible = [5, 1]",
            "7: device.meter.channel.power.plausible: is not a range; write",
        ),
        (
            METER + "channel.power.plausible = [nan, 1]",
            "7: device.meter.channel.power.plausible: is not a range; write",
        ),
        (
            METER + "channel.power.calibrate.scale = inf",
            "7: device.meter.channel.power.calibrate.scale: is not a number; write a finite one",
        ),
        (
            METER + "channel.power.calibrate.points = [[0, 0], [0, 1]]",
            "7: device.meter.channel.power.calibrate: has points out of order; let",
        ),
        (
            METER + "channel.power.calibrate = { points = [[0, 0], [1, 1]], scale = 1 }",
            "7: device.meter.channel.power.calibrate: has both points and scale or offset; write",
        ),
        (
            METER + "channel.power.report.change = 0",
            "7: device.meter.channel.power.report.change: is out of range; write a number above 0",
        ),
        (METER + "channel.power = 3", "7: device.meter.channel.power: is not a table; write"),
        (METER + "name = 3", "7: device.meter.name: is not text; put it in quotes"),
        (
            METER.replace("meter", "gateway"),
            "3: device.gateway: is the agent's own name in MQTT; give the device another id",
        ),
        (
            METER + METER.replace('[bus.a]\nport = "/dev/ttyUSB0"\n', "").replace("meter", "twin"),
            "10: device.twin.settings.address: 7 is the address of meter on bus 'a' too; give",
        ),
        (
            METER
            + "[device.damp]\ndriver = 'modbus'\nbus = 'a'\nsettings = { profile = 'xy_md02', address = 1 }",
            "1: bus.a.serial: its devices differ (2400 8N1, 9600 8N1); set them all to one",
        ),
        (
            METER + "[device.radar]\ndriver = 'ld2410'\nbus = 'a'",
            "9: device.radar.bus: speaks unasked and needs bus 'a' for itself, and shares it with meter;",
        ),
        (
            "[bus.a]\nport = '/x'\n[device.r]\ndriver = 'ld2410'\nbus = 'a'\nchannel.occupancy.calibrate.scale=2",
            "6: device.r.channel.occupancy.calibrate: is for measured numbers, and this is a state;",
        ),
    ],
)
def test_each_problem_is_told_with_its_line_and_remedy(file: Path, text: str, expected: str) -> None:
    problems = refused(file, text)
    assert len(problems) == 1
    assert problems[0].startswith(expected)


def test_a_bus_may_be_shared_when_it_has_a_format(file: Path) -> None:
    damp = "[device.damp]\ndriver = 'modbus'\nbus = 'a'\nsettings = { profile = 'xy_md02', address = 1 }"
    bus = METER.replace('USB0"', "USB0\"\nserial = '9600 8N1'")
    assert len(loaded(file, bus + damp).device) == 2


def test_all_problems_are_told_at_once(file: Path) -> None:
    """One wrong table hides neither another one nor what does not fit together."""
    problems = refused(
        file,
        """\
        config = 2
        [gateway]
        id = "gw-01"
        timezone = "Asia/Shangai"
        [uplink.city]
        servers = ["mqtt://b"]
        password = { secret = "nowhere" }
        [device.meter]
        driver = "modbus"
        bus = "b"
        interval = "soon"
        settings = { profile = "eastron_sdm120", address = 7 }
        channel.powr.report.change = 5
        [bus.a]
        port = 3
        [device.damp]
        driver = "modbus"
        bus = "a"
        settings = { profile = "xy_md02" }
        """,
        before="",
    )
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["1", "config"],
        ["2", "gateway.site"],
        ["4", "gateway.timezone"],
        ["7", "uplink.city.password"],
        ["10", "device.meter.bus"],
        ["11", "device.meter.interval"],
        ["13", "device.meter.channel.powr"],
        ["15", "bus.a.port"],
        ["19", "device.damp.settings.address"],
    ]


def test_too_many_devices_are_refused(file: Path) -> None:
    devices = ", ".join(f"d{number} = {{ driver = 'ld2410', bus = 'a' }}" for number in range(501))
    problems = refused(
        file, f"device = {{ {devices} }}\nconfig = 1\ngateway = {{ site = 'a', id = 'b' }}", before=""
    )
    assert "1: device: is too long; at most 500 are allowed" in problems


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"config = 1\n[gateway]\nsite = \n", ":3: is not TOML: Invalid value; correct this line"),
        (b"config = 1\nconfig = 1\n", ":2: is not TOML: Cannot overwrite a value; correct this line"),
        (b"a = [1,\n2\n\n", ":2: is not TOML: "),
        (b"config = 1\n# \xff\n", ":2: is not UTF-8 text; save the file as UTF-8"),
        (b"a = " + b"[" * 5000, ": is nested too deeply; "),
        (b"a = " + b"1" * 5000, "is not TOML: "),
        (b"#" * 1_000_001, ": is larger than 1000000 bytes; "),
    ],
)
def test_what_is_no_configuration_is_refused(file: Path, content: bytes, expected: str) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value).startswith(str(file))
    assert expected in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_byte_order_mark_is_no_problem(file: Path) -> None:
    file.write_text(GATEWAY, "utf-8-sig")
    assert load(file).gateway.id == "gw-01"


def test_a_file_that_is_not_there_is_a_problem_too(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"none\.toml: cannot be read \(No such file.*; give the file with --config"
    ):
        load(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path)


UPLINK = '[uplink.u]\nservers = ["mqtt://b"]\nusername = "me"\n'


def test_a_secret_is_looked_up_where_systemd_hands_it_over(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "pw").write_text("hunter 2\n", "utf-8")
    password = loaded(file, UPLINK + 'password = { secret = "pw" }').uplink["u"].password
    assert password
    assert password.get_secret_value() == "hunter 2"


def test_a_missing_secret_names_both_folders(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    [problem] = refused(file, UPLINK + 'password = { secret = "pw" }')
    assert problem.startswith(
        f"4: uplink.u.password: there is no secret 'pw' in {tmp_path} and {FOLDER}; put"
    )


@pytest.mark.parametrize("name", ["../pw", "", ".hidden", "a/b"])
def test_a_secret_is_never_looked_up_elsewhere(file: Path, name: str) -> None:
    [problem] = refused(file, UPLINK + f'password = {{ secret = "{name}" }}')
    assert "is not a secret's name" in problem


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"\xff", b"x" * 70_000])
def test_a_secret_is_one_line_of_text(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "pw").write_bytes(content)
    [problem] = refused(file, UPLINK + 'password = { secret = "pw" }')
    assert "is not one line of text" in problem


def test_a_password_is_never_shown(file: Path) -> None:
    config = loaded(file, UPLINK + 'password = "hunter2"')
    assert "hunter2" not in repr(config) + str(config) + str(config.model_dump())
    for text in (
        '[uplink.u]\nservers = ["mqtt://me:hunter2@b"]',
        '[uplink.u]\nservers = ["mqtt://b"]\npassword = "hunter2"',
        '[uplink.u]\nservers = ["mqtt://b"]\nusername = 3\npassword = ["hunter2"]',
        '[uplink.u]\nservers = ["mqtt://b"]\nusername = "m"\npassword = { secrt = "hunter2" }',
        '[uplink.u]\npassword = "hunter2"\npassword = "hunter2"',
    ):
        file.write_text(GATEWAY + text, "utf-8")
        with pytest.raises(SettingsError) as caught:
            load(file)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_what_cannot_be_read_is_told(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "pw").mkdir()
    [problem] = refused(file, UPLINK + 'password = { secret = "pw" }')
    assert f"secret {tmp_path / 'pw'} cannot be read (Is a directory)" in problem


ODD = st.recursive(
    st.sampled_from(["1", "true", '"x"', "nan", "2020-01-01", '"1s"', '"modbus"', '"a"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda values: f"[{', '.join(values)}]")
        | st.dictionaries(
            st.sampled_from(
                ["port", "driver", "bus", "settings", "channel", "servers", "a", "secret", "listen", "points"]
            ),
            inner,
            max_size=4,
        ).map(lambda table: "{ " + ", ".join(f"{key} = {value}" for key, value in table.items()) + " }")
    ),
    max_leaves=12,
)
TABLES = [
    "config",
    "gateway",
    "outbox",
    "clock",
    "uplink",
    "bus",
    "device",
    "log",
    "console",
    "metrics",
    "zzz",
]


@given(st.dictionaries(st.sampled_from(TABLES), ODD))
def test_no_shape_of_file_is_a_bug(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, str]) -> None:
    file = tmp_path_factory.getbasetemp() / f"odd-{os.getpid()}.toml"
    file.write_text("".join(f"{key} = {value}\n" for key, value in tables.items()), "utf-8")
    with pytest.raises(SettingsError):
        load(file)
