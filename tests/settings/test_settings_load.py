"""Loading: what a good file becomes, and what is no configuration at all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.driver import Over
from edge_agent.settings.error import SettingsError
from edge_agent.settings.field_types import Server
from edge_agent.settings.load import load
from edge_agent.settings.model import Config
from edge_agent.settings.resolve import format_of, opened

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
Loaded = Callable[[str], Config]
Refused = Callable[[str], list[str]]


def test_the_smallest_file_is_enough(loaded: Loaded) -> None:
    config = loaded("")
    assert (config.gateway.site, config.gateway.id) == ("east-park", "gw-01")
    assert (config.outbox.window, config.outbox.memory, config.outbox.max_size) == (
        1.0,
        20_000,
        512_000_000,
    )
    assert not config.uplink
    assert not config.bus
    assert not config.device


def test_a_whole_file_becomes_plain_values(loaded: Loaded) -> None:
    config = loaded(
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


def test_an_uplink_says_what_it_gets(loaded: Loaded) -> None:
    config = loaded(
        """\
        [uplink.park]
        servers = ["mqtt://here"]
        [uplink.city]
        servers = ["mqtt://there"]
        from = "oldest"
        [uplink.city.send]
        without = ["door-*"]
        labels = { tenant = "hall-b" }
        """,
    )
    park, city = config.uplink["park"], config.uplink["city"]
    assert (park.send.devices, park.send.channels, park.begin) == (("*",), ("*",), "now")
    assert (city.send.without, city.send.labels, city.begin) == (("door-*",), {"tenant": "hall-b"}, "oldest")


def test_a_device_is_opened_and_its_bus_has_its_format(loaded: Loaded) -> None:
    config = loaded(METER)
    driver, device = opened(config.device["meter"])
    assert driver.over is Over.REGISTERS
    assert "power" in {channel.name for channel in device.channels}
    assert str(format_of(config.bus["a"], config.device.values())) == "2400 8N1"
    told = loaded(METER.replace('"/dev/ttyUSB0"', '"/dev/ttyUSB0"\nserial = "9600 8E1"'))
    assert str(format_of(told.bus["a"], told.device.values())) == "9600 8E1"


def test_a_device_says_what_of_it_goes_when_the_outbox_is_full(loaded: Loaded) -> None:
    usual = loaded(METER).device["meter"]
    assert (usual.class_, usual.when_full) == ("normal", "oldest")
    meter = loaded(METER + 'class = "critical"\nwhen_full = "thin"\n').device["meter"]
    assert (meter.class_, meter.when_full) == ("critical", "thin")


def test_keys_are_accepted_where_they_ask_for_nothing(loaded: Loaded) -> None:
    config = loaded(
        METER
        + """\
        [bus.b]
        port = "/dev/ttyUSB1"
        direction = "auto"
        [uplink.city]
        servers = ["mqtt://b"]
        dialects = []
        [console]
        listen = ""
        [metrics]
        """,
    )
    assert config.device.keys() == {"meter"}


def test_a_bus_may_be_shared_when_it_has_a_format(loaded: Loaded) -> None:
    damp = "[device.damp]\ndriver = 'modbus'\nbus = 'a'\nsettings = { profile = 'xy_md02', address = 1 }"
    bus = METER.replace('USB0"', "USB0\"\nserial = '9600 8N1'")
    assert len(loaded(bus + damp).device) == 2


def test_all_problems_are_told_at_once(refused: Refused) -> None:
    """One wrong table hides neither another one nor what does not fit together."""
    problems = refused(
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


def test_too_many_devices_are_refused(refused: Refused) -> None:
    devices = ", ".join(f"d{number} = {{ driver = 'ld2410', bus = 'a' }}" for number in range(501))
    whole = f"device = {{ {devices} }}\nconfig = 1\ngateway = {{ site = 'a', id = 'b' }}"
    assert "1: device: is too long; at most 500 are allowed" in refused(whole)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"config = 1\n[gateway]\nsite = \n", ":3: is not TOML: Invalid value; correct this line"),
        (b"config = 1\nconfig = 1\n", ":2: config: stands in this file twice; remove one"),
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
