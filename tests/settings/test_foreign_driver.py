"""Drivers of other packages, installed beside ours: what the configuration may do with them."""

import subprocess
import sys
from pathlib import Path

MODULE = """\
from edge_agent.driver import Channel, Driver, Over, Quantity, Settings

class Thing:
    channels = (Channel("ts", Quantity.COUNT), Channel("count", Quantity.COUNT))
    def decode(self, frame):
        return []

def make(over, serial=""):
    return Driver("Thing", __name__, over, Settings, lambda _: Thing(), serial=lambda _: serial)

beacon, talker = make(Over.ADVERTISEMENTS), make(Over.STREAM)
"""
POINTS = "[edge_agent.drivers]\nthing_beacon = thing:beacon\nthing_talker = thing:talker\n"
CONFIG = """\
config = 1
gateway = { site = "a", id = "b" }
[bus.x]
port = "/dev/ttyUSB0"
[device.one]
driver = "thing_beacon"
bus = "x"
[device.two]
driver = "thing_talker"
bus = "x"
"""
CHECK = (
    "import sys; from pathlib import Path; from edge_agent.settings.load import load; load(Path(sys.argv[1]))"
)


def test_what_does_not_fit_in_a_driver_is_told(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text(MODULE, "utf-8")
    folder = tmp_path / "thing-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n", "utf-8")
    (folder / "entry_points.txt").write_text(POINTS, "utf-8")
    file = tmp_path / "agent.toml"
    file.write_text(CONFIG, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(file)],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = [line.removeprefix(f"{file}:") for line in done.stderr.splitlines() if str(file) in line]
    told[0] = told[0].removeprefix(f"edge_agent.settings.error.SettingsError: {file}:")
    wrong, remedies = [line.split("; ")[0] for line in told], [line.split("; ")[1] for line in told]
    reserved = "has a channel 'ts', a name that is reserved in MQTT"
    assert wrong == [
        "3: bus.x.serial: no driver knows its format",
        f"6: device.one.driver: {reserved}",
        "7: device.one.bus: speaks BLE, and bus 'x' is a port",
        f"9: device.two.driver: {reserved}",
    ]
    rename = "give the channel another name in its driver or profile"
    assert remedies[1:] == [rename, 'give it a bus with ble = "hci0"', rename]
