"""The checks of the machine, on files that the test makes."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.clock import SystemClock
from edge_agent.doctor import buses, certificate, configuration, machine
from edge_agent.doctor.finding import Finding, Group
from edge_agent.doctor.running import Agent
from edge_agent.doctor.user import User
from edge_agent.settings.load import load_what_runs
from edge_agent.settings.model import Config
from edge_agent.settings.uplink import Uplink

NOBODY = User("nobody", 65_534, frozenset({65_534}))
NOBODY_RUNS = Agent(runs=False, ports=frozenset(), findings=())
ME = User("me", os.getuid(), frozenset({os.getgid()}))


def config(tmp_path: Path, **more: object) -> Config:
    outbox = {"path": str(tmp_path / "outbox.db"), "max_size": "1MB"}
    gateway = {"site": "east-park", "id": "gw-01"}
    return Config.model_validate({"config": 1, "gateway": gateway, "outbox": outbox} | more)


def by_what(found: list[Finding]) -> dict[str, Finding]:
    return {one.what: one for one in found}


def test_the_room_on_the_disk_is_judged(tmp_path: Path) -> None:
    room = by_what(list(machine.disk(config(tmp_path), ME)))["room on the disk"]
    assert room.level == "OK"
    huge = config(tmp_path, outbox={"path": str(tmp_path / "outbox.db"), "max_size": "9000GB"})
    assert by_what(list(machine.disk(huge, ME)))["room on the disk"].level == "WARN"


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    found = by_what(list(machine.disk(config(tmp_path), NOBODY)))
    assert (found[f"folder {tmp_path}"].level, found[f"folder {tmp_path}"].says) == (
        "FAIL",
        "nobody may not write there",
    )


@pytest.mark.parametrize(("life", "level"), [("0x01 0x02", "OK"), ("0x0a 0x01", "WARN"), ("", "OK")])
def test_a_card_tells_its_age(tmp_path: Path, life: str, level: str) -> None:
    number = tmp_path.stat().st_dev
    device = tmp_path / "devices" / "mmc0:0001"
    block = device / "block" / "mmcblk0" / "mmcblk0p2"
    block.mkdir(parents=True)
    (block.parent / "device").symlink_to(device)
    (device / "date").write_text("03/2024\n")
    if life:
        (device / "life_time").write_text(f"{life}\n")
    link = tmp_path / "sys" / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(block)
    card = by_what(list(machine.disk(config(tmp_path), ME, tmp_path / "sys")))["card"]
    assert card.level == level
    assert card.says.startswith("made 03/2024")


def test_the_clock_is_judged_by_what_is_to_be_trusted(tmp_path: Path) -> None:
    (always,) = machine.clock(config(tmp_path, clock={"trust": "always"}))
    (kernel,) = machine.clock(config(tmp_path))
    assert always.level == "OK"
    assert kernel.level == ("OK" if SystemClock("kernel").trusted() else "WARN")


def test_ports_are_there_and_may_be_opened(tmp_path: Path) -> None:
    main, far = os.openpty()
    tty = os.ttyname(far)
    told = config(
        tmp_path,
        bus={"here": {"port": tty}, "gone": {"port": str(tmp_path / "ttyUSB9")}},
        device={"m": {"driver": "modbus", "bus": "here"}},
    )
    try:
        found = {(one.group, one.what): one for one in buses.buses(told, ME, NOBODY_RUNS)}
        here = found["bus here", tty]
        assert (here.level, "is in use by" in here.says) == ("FAIL", True)  # by this test
        gone = found["bus gone", str(tmp_path / "ttyUSB9")]
        assert gone.level == "FAIL"
        assert "use one that is there" in gone.remedy
        assert found["bus gone", "devices"].level == "WARN"
        denied = next(iter(buses.buses(told, NOBODY, NOBODY_RUNS)))
        assert (denied.level, "usermod -aG dialout nobody" in denied.remedy) == ("FAIL", True)
    finally:
        os.close(main)
        os.close(far)


def test_an_adapter_without_power_is_told() -> None:
    def missing(_adapter: str) -> bool:
        raise OSError("no such adapter")

    group = Group("bus radio")
    judged = [
        buses.judged_adapter(group, "hci0", asked) for asked in (lambda _: True, lambda _: False, missing)
    ]
    assert [one.level for one in judged] == ["OK", "FAIL", "FAIL"]
    assert "rfkill unblock" in judged[1].remedy


def test_certificates_tell_their_end(tmp_path: Path) -> None:
    for name, days in (("long", "400"), ("soon", "5")):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", days, "-subj", "/CN=x",
             "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            cwd=tmp_path, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    end = subprocess.run(
        ["openssl", "x509", "-enddate", "-noout", "-in", "long.pem"],
        cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60,
    ).stdout.strip()  # fmt: skip
    uplink = Uplink.model_validate(
        {"servers": ["mqtts://b"], "ca": tmp_path / "long.pem", "cert": tmp_path / "soon.pem"}
    )
    long, soon = certificate.certificates(Group("broker"), uplink)
    day = datetime.strptime(end, "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    assert (long.level, long.says) == ("OK", f"holds until {day:%Y-%m-%d}")
    assert soon.level == "WARN"
    past = certificate.remaining(Group("broker"), "cert", datetime(2001, 1, 1, tzinfo=UTC))
    assert past.level == "FAIL"


def test_the_names_of_secrets_are_found_wherever_they_stand() -> None:
    table = {
        "uplink": {"a": {"password": {"secret": "one"}}},
        "device": {"d": {"settings": {"k": {"secret": "two"}}}},
    }
    assert list(configuration.secret_names(table)) == ["one", "two"]


@pytest.mark.parametrize(
    ("server", "level"),
    [
        ("mqtt://broker.example", "WARN"),
        ("mqtt://192.168.10.5", "WARN"),
        ("mqtt://[::1]", "OK"),
        ("mqtt://127.0.0.5", "OK"),
        ("mqtt://localhost", "OK"),
        ("mqtts://broker.example", "OK"),
    ],
)
def test_a_password_that_goes_where_it_can_be_read_is_told(tmp_path: Path, server: str, level: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        'config = 1\ngateway = { site = "east-park", id = "gw-01" }\n'
        f'[uplink.city]\nservers = ["{server}"]\nusername = "gw-01"\npassword = "opensesame"\n',
        "utf-8",
    )
    found = list(configuration.whole(file, load_what_runs(file), ME))
    assert {one.level for one in found if one.what == "uplink city"} == ({level} - {"OK"})
    assert "opensesame" not in repr(found)
    assert found[0].says == "devices: 0, buses: 0, uplinks: 1"
