"""Every way a configuration can be wrong, with line, key and remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.settings.model import Config

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
        ("[bus.a]\nport = 'usb://h:1'", "2: bus.a.port: usb:// is not supported; write a serial device"),
        (
            "[bus.a]\nport = 'socket://h'",
            "2: bus.a.port: socket:// needs a host and a port and nothing else;",
        ),
        (
            "[bus.a]\nport = 'rfc2217://me:x@h:1'",
            "2: bus.a.port: rfc2217:// needs a host and a port and nothing",
        ),
        (
            "[bus.a]\nport = 'socket://h:1'\ndirection = 'rts'",
            "1: bus.a: has direction 'rts', which is for a serial port of this machine; remove it",
        ),
        (
            "[bus.a]\nport = 'modbus-tcp://h'\n[bus.b]\nport = 'socket://h:502'",
            "4: bus.b.port: is the port of bus 'a' too",
        ),
        ("[bus.a]", "1: bus.a: has neither port nor ble; write port ="),
        (
            "[bus.a]\nble = 'hci0'\ngap = '1ms'",
            "1: bus.a: is a BLE adapter, for which gap has no meaning; remove gap",
        ),
        (
            "[bus.a]\nport = '/dev/x'\nscan = 'active'",
            "1: bus.a: has scan, which is for a BLE adapter; remove it",
        ),
        ("[bus.a]\nble = 'bluetooth0'", "2: bus.a.ble: 'bluetooth0' is no adapter; write one such as hci0"),
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
            "[uplink.u]\nservers = ['mqtt://b']\nprotocol = '3.1.1'\nsend = { gzip = true }",
            "1: uplink.u: has send.gzip, which needs MQTT 5; remove it",
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
            "1: uplink.u: has what is for TLS but no server with TLS; write",
        ),
        (
            "[uplink.u]\nservers = ['mqtt://b']\nsend = { devices = [] }",
            "3: uplink.u.send.devices: is too short; at least 1 are needed",
        ),
        (
            "[uplink.u]\nservers = ['mqtt://b']\nsend = { device = ['x'] }",
            "3: uplink.u.send.device: is not a known key; did you mean devices?",
        ),
        (
            "[uplink.u]\nservers = ['mqtt://b']\nfrm = 'now'",
            "3: uplink.u.frm: is not a known key; did you mean from?",
        ),
        (
            "[uplink.u]\nservers = ['mqtt://b']\nfrom = 'then'",
            "3: uplink.u.from: is not one of the choices; write 'now' or 'oldest'",
        ),
        (
            "[uplink.u]\nservers = ['mqtt://b']\n[uplink.v]\nservers = ['mqtt://c', 'mqtt://b:1883']",
            "1: uplink: sends to mqtt://b:1883 twice under 'park/v1', as u and as v; give one",
        ),
        (
            METER.replace('"modbus"', '"modbuss"'),
            "4: device.meter.driver: there is no driver 'modbuss'; did you mean modbus or mbus?",
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
            (
                "[bus.a]\nport = 'modbus-tcp://plc'\nserial = '9600 8N1'\n"
                "[device.a]\ndriver = 'modbus'\nbus = 'a'\nsettings = { profile = 'xy_md02', address = 1 }"
            ),
            "3: bus.a.serial: has no meaning for modbus-tcp://; remove it",
        ),
        (
            "[bus.a]\nport = 'modbus-tcp://plc'\n[device.radar]\ndriver = 'ld2410'\nbus = 'a'",
            "5: device.radar.bus: does not speak Modbus, and bus 'a' is modbus-tcp://; give it another bus",
        ),
        (
            "[bus.a]\nport='/x'\n[device.r]\ndriver='ld2410'\nbus='a'\nchannel.occupancy.calibrate.scale=2",
            "6: device.r.channel.occupancy.calibrate: is for measured numbers, and this is a state;",
        ),
        (
            "[bus.a]\nport='contact:///dev/ttyUSB0?line=cts'\n[device.r]\ndriver='ld2410'\nbus='a'",
            "5: device.r.bus: speaks over a serial line, and bus 'a' is a contact; give it another bus",
        ),
        (
            METER.replace("/dev/ttyUSB0", "gpio://gpiochip0/17"),
            "5: device.meter.bus: speaks over a serial line, and bus 'a' is a contact; give it another bus",
        ),
        (
            "[bus.a]\nport='gpio://gpiochip0/7'\nserial='9600 8N1'\n[device.r]\ndriver='contact'\nbus='a'",
            "3: bus.a.serial: has no meaning for a contact; remove it",
        ),
        (
            "[bus.a]\nport='gpio://17'",
            "2: bus.a.port: 'gpio://17' is no contact; write contact:///dev/ttyUSB0?line=cts (or dsr",
        ),
        (METER + 'average = "20s"', "3: device.meter: has an average over fewer than 3 intervals; make"),
        (
            METER + 'average = "1m"\nreport = { change = 1 }',
            "3: device.meter: has both average and report; write one or the other",
        ),
        (
            METER + 'average = "1m"\nchannel.power.report = { change = 1 }',
            "3: device.meter: has both average and report; write one or the other",
        ),
        (
            "[bus.a]\nport='gpio://gpiochip0/1'\n[device.d]\ndriver='contact'\nbus='a'\naverage='1m'",
            "6: device.d.average: has nothing to work on: this device has only states and counters, which",
        ),
        (
            METER + "channel.power.counter = { continue = true }",
            "7: device.meter.channel.power.counter: is for energies, count, volume, precipitation, and",
        ),
        (
            METER + "channel.energy_import.counter = { rollover = 0 }",
            "7: device.meter.channel.energy_import.counter.rollover: is out of range; write a number above 0",
        ),
        (
            METER + "channel.power.alarm.x = { above = 1, below = 0 }",
            "7: device.meter.channel.power.alarm.x: needs one limit; write one of above, below and equals",
        ),
        (
            METER + "channel.power.alarm.x = {}",
            "7: device.meter.channel.power.alarm.x: needs one limit; write one of above, below and equals",
        ),
        (
            METER + "channel.power.alarm.x = { equals = true }",
            "7: device.meter.channel.power.alarm.x.equals: is for states, and this is a power; write",
        ),
        (
            METER + "channel.power.alarm.x = { above = 1, hysteresis = -1 }",
            "7: device.meter.channel.power.alarm.x.hysteresis: is out of range; write 0, or a number above 0",
        ),
        (
            "[bus.a]\nport='/x'\n[device.r]\ndriver='ld2410'\nbus='a'\nchannel.occupancy.alarm.x={above=1}",
            "6: device.r.channel.occupancy.alarm.x: is a limit for numbers, and occupancy is a state; write",
        ),
        (
            METER + "channel.power.alarm.x = { equals = true, hysteresis = 1 }",
            "7: device.meter.channel.power.alarm.x: has hysteresis, which is for above and below; remove it",
        ),
        (
            METER + 'channel.power.hold = "30s"',
            "7: device.meter.channel.power.hold: is for occupancy, motion, contact, and this is a power;",
        ),
        (
            "[bus.a]\nport='/x'\n[device.r]\ndriver='ld2410'\nbus='a'\nchannel.occupancy.hold='10ms'",
            '6: device.r.channel.occupancy.hold: is out of range; write "100ms" to "1d"',
        ),
    ],
)
def test_each_problem_is_told_with_its_line_and_remedy(refused: Refused, text: str, expected: str) -> None:
    problems = refused(text)
    assert len(problems) == 1
    assert problems[0].startswith(expected)


@pytest.mark.parametrize(
    ("address", "remedy"),
    [('"7"', "write it without quotes"), ("true", "write it without quotes"), ("7.0", "write it without")],
)
def test_a_drivers_settings_are_taken_as_they_are_written(
    refused: Refused, address: str, remedy: str
) -> None:
    (problem,) = refused(METER.replace("address = 7", f"address = {address}"))
    assert problem.startswith("6: device.meter.settings.address: is not a whole number; " + remedy)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[log]\nlevel = 'info'\nlevel = 'debug'\n[clock]", "3: log.level"),
        ("[log]\n[clock]\n\n[log]\nlevel = 'info'", "4: log"),
        (METER + METER.partition("[device")[0], "7: bus.a"),
        (METER + "settings.address = 8\n", "7: device.meter.settings.address"),
        ("[outbox]\n[clock]\ntrust = 'rtc'\nwait = { a = 1, a = 2 }", "4: clock.wait.a"),
    ],
)
def test_what_stands_twice_is_named(refused: Refused, text: str, place: str) -> None:
    assert refused(text) == [f"{place}: stands in this file twice; remove one"]


def test_the_outbox_is_a_file(refused: Refused, tmp_path: Path) -> None:
    (problem,) = refused(f'[outbox]\npath = "{tmp_path}"')
    written = f"write a file in it, such as '{tmp_path}/outbox.db'"
    assert problem == f"2: outbox.path: is a directory; {written}"
