"""What the demo shows of a status."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from edge_agent.demo import screen
from edge_agent.demo.login import Login
from edge_agent.reading import Grade, Quality
from edge_agent.status import DeviceStatus, Status, UplinkStatus

_METER = DeviceStatus(
    id="meter-1",
    name="Hall A feed",
    driver="modbus",
    availability="online",
    heard_s=0.42,
    seq=17,
    values={"power": 1234.5678, "occupancy": True, "energy_import": 12.0},
    quality={"power": Quality(Grade.SUSPECT, "above_plausible"), "voltage": Quality(Grade.BAD, "unknown")},
    units={"power": "W", "occupancy": "1", "energy_import": "kW.h", "voltage": "V"},
    faults={},
    problem="",
)
_CITY = UplinkStatus("city", True, "mqtt://127.0.0.1:1883", "5", 40, 3, 2, "")
_STATUS = Status(
    site="demo-park",
    gateway="demo-gw",
    epoch="k7f2",
    uptime_s=12.0,
    kept=43,
    waiting=1,
    lost=0,
    clock="synchronised",
    problem="",
    disk_free_mb=512,
    rss_mb=41,
    devices=(
        _METER,
        replace(_METER, id="gone-1", availability="offline", heard_s=None, seq=0, problem="silent"),
    ),
    uplinks=(_CITY,),
)
_HEADING = screen.Heading(
    "mosquitto 2.0.11",
    Login("mqtt://127.0.0.1:1883", "demo", "pass", generated=True),
    Path("/tmp/x"),
    "park/v1/#",
)


def _rendered(status: Status, height: int = 50, width: int = 120) -> str:
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(screen.render(status, _HEADING, height))
    return capture.get()


def test_the_table_has_a_row_for_each_channel() -> None:
    shown = _rendered(_STATUS)
    rows = {words[0]: words for text in shown.splitlines() if (words := text.split())}
    assert "mosquitto 2.0.11" in shown
    assert "MQTT 5" in shown
    assert "mosquitto_sub -h 127.0.0.1 -p 1883 -u demo -P pass -v -t 'park/v1/#'" in shown
    assert rows["meter-1"] == [
        "meter-1",
        "power",
        "1234.568",
        "W",
        "0.4",
        "s",
        "17",
        "suspect:",
        "above_plausible",
    ]
    assert rows["occupancy"] == ["occupancy", "yes", "good"]
    assert rows["energy_import"] == ["energy_import", "12", "kWh", "good"]
    assert rows["voltage"] == ["voltage", "-", "V", "bad:", "unknown"]
    assert "silent" in rows["gone-1"]
    assert "kept 43  acknowledged 40  backlog 3  lost 0  waiting 1" in shown


def test_a_low_terminal_gets_a_row_for_each_device() -> None:
    shown = _rendered(_STATUS, height=18)
    assert len(shown.splitlines()) <= 18
    assert "power 1234.568 W" in shown
    assert "kept 43" in shown


def test_on_a_narrow_terminal_no_value_is_broken_over_two_lines() -> None:
    spoken = [line.strip() for line in _rendered(_STATUS, height=18, width=64).splitlines()]
    whole = "power 1234.568 W (suspect)", "occupancy yes", "energy_import 12 kWh"
    for value in whole:
        assert sum(value in line for line in spoken) == 1, value
    assert not any(whole[0] in line and whole[2] in line for line in spoken)  # it was narrow indeed


def test_a_channel_that_was_never_known_is_named() -> None:
    assert "voltage - V (bad)" in _rendered(_STATUS, height=18)


def test_a_connection_problem_is_shown() -> None:
    away = replace(_CITY, connected=False, protocol="", problem="connection refused; trying again")
    status = replace(_STATUS, uplinks=(away,))
    assert "city: connection refused" in _rendered(status)
    assert "connection refused" in screen.line(status)
    assert "not connected" in screen.line(replace(_STATUS, uplinks=(replace(away, problem=""),)))


def test_the_end_of_a_backlog_is_shown_while_there_is_one() -> None:
    draining = replace(_STATUS, uplinks=(replace(_CITY, drain_s=12.4), replace(_CITY, drain_s=None)))
    assert "backlog 6  lost 0  waiting 1  sent in 12 s" in _rendered(draining)
    assert "waiting 1  sent in 12 s" in screen.line(draining)
    for quiet in (replace(_CITY, backlog=0, drain_s=0.0), replace(_CITY, drain_s=None)):
        assert "sent in" not in screen.line(replace(_STATUS, uplinks=(quiet,)))


def test_a_line_is_one_line() -> None:
    shown = screen.line(_STATUS)
    assert "\n" not in shown
    assert "meter-1 #17" in shown
    assert "gone-1 offline" in shown


def test_a_device_that_was_not_heard_yet_is_waited_for() -> None:
    early = replace(_STATUS, devices=(replace(_METER, availability="late", heard_s=None, seq=0),))
    for shown in (screen.line(early), _rendered(early), _rendered(early, height=18)):
        assert "waiting" in shown.replace("waiting 1", "")
        assert "late" not in shown
    silent = replace(_STATUS, devices=(replace(_METER, availability="late", heard_s=70.0),))
    assert "meter-1 late" in screen.line(silent)


def test_a_password_of_the_users_is_not_shown() -> None:
    theirs = replace(_HEADING, login=Login("mqtt://10.0.0.1:1883", "town", "hush"))
    assert "-u town -P ... -v" in screen.opening(theirs)
    assert "hush" not in screen.opening(theirs)
    nobody = replace(_HEADING, login=Login("mqtt://10.0.0.1:1883", "town", ""))
    assert "-u town -v" in screen.opening(nobody)


def test_it_says_whether_the_files_stay() -> None:
    assert "agent.toml" in screen.opening(_HEADING)
    removed = "/tmp/x  (removed at the end; keep them with --dir DIR)"
    assert removed in screen.opening(replace(_HEADING, temporary=True))


def test_it_says_how_to_ask_the_agent() -> None:
    assert "edge-agent status --socket /tmp/x/control.sock\n" in screen.opening(_HEADING) + "\n"


def test_a_small_terminal_says_how_many_devices_it_hides() -> None:
    many = replace(_STATUS, devices=tuple(replace(_METER, id=f"meter-{at}") for at in range(20)))
    for height in (6, 12, 20):
        console = Console(width=100, height=height, color_system=None)
        with console.capture() as capture:
            console.print(screen.fitted(many, _HEADING, console))
        shown = capture.get()
        assert len(shown.splitlines()) <= height
        assert shown.count("meter-") == 20 - int(shown.partition(" of 20 devices are hidden")[0].split()[-1])
        assert "kept 43" in shown
    console = Console(width=120, height=60, color_system=None)
    assert len(console.render_lines(screen.fitted(_STATUS, _HEADING, console))) == len(
        console.render_lines(screen.render(_STATUS, _HEADING, 60))
    )
