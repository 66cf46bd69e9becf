"""How often a radio should hear something, by how its devices do."""

from pathlib import Path

from edge_agent.agent.buses import Buses
from edge_agent.agent.layout import lay_out
from edge_agent.collect.device import Device
from edge_agent.driver import Sample
from edge_agent.processing.plan import Plan
from edge_agent.settings.load import load
from tests.outbox.world import FakeClock

_CONFIG = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
[bus.radio]
ble = "hci0"
[device.air]
driver = "ess"
bus = "radio"
settings = { address = "A4:C1:38:00:00:01" }
"""


def test_a_device_that_is_late_is_still_expected(tmp_path: Path) -> None:
    """A deaf scan makes all devices late after 60 s: that must not end its watchdog, which waits for 90 s."""
    file = tmp_path / "agent.toml"
    file.write_text(_CONFIG, "utf-8")
    clock = FakeClock()
    device = Device("air", (), Plan({}, {}, None), clock, lambda _reading: None)
    buses = Buses(lay_out(load(file)), {"air": device})
    assert buses._expected("radio") is None, "it was never heard: perhaps it is not there"
    device.heard([Sample("signal", -60)])
    assert buses._expected("radio") == device.expect_s
    for after, availability, expected in ((90, "late", device.expect_s), (300, "offline", None)):
        clock.mono = 5_000 + after * 1000
        device.look()
        assert device.availability == availability
        assert buses._expected("radio") == expected
    assert buses._expected("another") is None
