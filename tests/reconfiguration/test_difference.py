"""What a changed configuration ends and begins, and what it leaves alone."""

from pathlib import Path

import pytest

from edge_agent.agent.layout import lay_out
from edge_agent.reconfiguration.difference import Difference, between, refused
from edge_agent.settings.load import load

TEXT = """\
config = 1
gateway = { site = "east-park", id = "gw-01" }
clock.wait = "2m"
[uplink.city]
servers = ["mqtt://city.example"]
[uplink.park]
servers = ["mqtt://park.example"]
send.devices = ["m*"]
[bus.line]
port = "/dev/ttyUSB0"
[bus.radar]
port = "/dev/ttyUSB1"
[device.meter]
driver = "modbus"
bus = "line"
settings = { profile = "eastron_sdm120", address = 1 }
[device.mate]
driver = "modbus"
bus = "line"
settings = { profile = "eastron_sdm120", address = 2 }
[device.hall]
driver = "ld2410"
bus = "radar"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def _changed(file: Path, *changes: tuple[str, str]) -> Difference:
    file.write_text(TEXT, "utf-8")
    old, text = lay_out(load(file)), TEXT
    for was, now in changes:
        assert was in text
        text = text.replace(was, now)
    file.write_text(text, "utf-8")
    return between(old, lay_out(load(file)))


def test_the_same_again_is_no_difference(file: Path) -> None:
    difference = _changed(file)
    assert difference.words() == []
    assert not difference.closed
    assert not difference.restarted


def test_a_certificate_that_was_renewed_is_another_uplink(file: Path, tmp_path: Path) -> None:
    """Its file has the same name; the connection that is open has the old one."""
    ca = tmp_path / "city-ca.pem"
    ca.write_text("the old one")
    text = TEXT.replace('["mqtt://city.example"]', f'["mqtts://city.example"]\nca = "{ca}"')
    file.write_text(text, "utf-8")
    old = lay_out(load(file))
    assert between(old, lay_out(load(file))).words() == []
    ca.write_text("the new one")
    assert between(old, lay_out(load(file))).words() == ["uplink city changed"]


def test_a_device_is_another_and_its_neighbour_not(file: Path) -> None:
    difference = _changed(file, ("address = 2", "address = 3"))
    assert difference.words() == ["mate changed"]
    assert (difference.closed, difference.restarted) == (frozenset(), ())


@pytest.mark.parametrize(
    "more",
    [
        'name = "Hall B feed"\nplace = "floor 1"\nlabels = { tenant = "b" }\n',
        'channel.power.name = "All of the hall"\n',
    ],
)
def test_a_device_that_is_only_named_otherwise_goes_on(file: Path, more: str) -> None:
    difference = _changed(file, ("[device.meter]\n", f"[device.meter]\n{more}"))
    assert difference.words() == ["meter changed"]
    assert difference.renamed == ("meter",)
    assert difference.devices.ended == difference.devices.begun == difference.restarted == ()
    assert not difference.closed
    both = _changed(file, ("[device.meter]\n", f'[device.meter]\ninterval = "7s"\n{more}'))
    assert (both.devices.changed, both.renamed) == (("meter",), ())


def test_a_radar_that_is_only_named_otherwise_keeps_its_port(file: Path) -> None:
    difference = _changed(file, ('driver = "ld2410"', 'driver = "ld2410"\nname = "Hall"'))
    assert (difference.renamed, difference.closed) == (("hall",), frozenset())


def test_a_bus_takes_its_devices_along(file: Path) -> None:
    difference = _changed(file, ("ttyUSB0", "ttyUSB7"))
    assert difference.words() == ["bus line changed"]
    assert difference.closed == {"line"}
    assert set(difference.restarted) == {"meter", "mate"}


def test_a_bus_that_would_begin_in_another_format_is_another(file: Path) -> None:
    """The devices' factory format is the bus's, where it has none of its own."""
    difference = _changed(file, ("eastron_sdm120", "xy_md02"))
    assert difference.closed == {"line"}


def test_who_speaks_unasked_has_a_port_that_begins_with_him(file: Path) -> None:
    difference = _changed(file, ('driver = "ld2410"', 'driver = "ld2450"'))
    assert difference.words() == ["hall changed"]
    assert difference.closed == {"radar"}


def test_a_bus_without_devices_is_let_go(file: Path) -> None:
    difference = _changed(file, ('[device.hall]\ndriver = "ld2410"\nbus = "radar"\n', ""))
    assert difference.words() == ["hall removed"]
    assert difference.closed == {"radar"}


def test_which_devices_an_uplink_gets_is_no_new_connection(file: Path) -> None:
    renamed = _changed(file, ("[device.meter]", "[device.house]"))
    assert renamed.words() == ["house added", "meter removed"]
    assert renamed.uplinks == ((), (), ())
    assert _changed(file, ('["m*"]', '["*"]')).uplinks.changed == ("park",)


def test_all_uplinks_wait_for_the_clock(file: Path) -> None:
    difference = _changed(file, ('wait = "2m"', 'wait = "3m"'))
    assert difference.uplinks.changed == ("city", "park")
    assert difference.keys == ("clock.wait",)


def test_a_profile_is_part_of_its_device(file: Path) -> None:
    profile = file.with_name("own.toml")
    text = (Path(__file__).parents[2] / "drivers/modbus/profiles/eastron_sdm120.toml").read_text("utf-8")
    profile.write_text(text, "utf-8")
    file.write_text(TEXT.replace("eastron_sdm120", str(profile), 1), "utf-8")
    old = lay_out(load(file))
    profile.write_text("# another edition\n" + text, "utf-8")
    assert between(old, lay_out(load(file))).words() == ["meter changed"]


def test_how_an_uplink_sends_does_not_make_it_choose(file: Path) -> None:
    """What is left of devices that are gone is for uplinks that get everything."""
    file.write_text(TEXT.replace('send.devices = ["m*"]', 'send.batch = "5s"'), "utf-8")
    assert lay_out(load(file)).selections["park"].devices is None
    file.write_text(TEXT, "utf-8")
    assert lay_out(load(file)).selections["park"].devices == {"meter", "mate"}


def test_what_cannot_change_is_told_once(file: Path) -> None:
    file.write_text(TEXT, "utf-8")
    old = load(file)
    file.write_text(TEXT + '[metrics]\nlisten = "127.0.0.1:9101"\n', "utf-8")
    assert [found.path for found in refused(old, load(file))] == [("metrics",)]
