"""Metrics over HTTP, judged by promtool, with the numbers that ``edge-agent status`` has."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from edge_agent.board import Board
from edge_agent.metrics.exposition import exposed
from edge_agent.metrics.server import exposing
from edge_agent.settings.error import SettingsError
from edge_agent.settings.listen_address import split
from edge_agent.settings.load import load
from edge_agent.status import BusStatus, DeviceStatus, Status, UplinkStatus
from tests.cli.running import config, running, sensor, until
from tests.faults.broker import free_port

STATUS = Status(
    site="east-park", gateway="gw-01", epoch="k7f2", uptime_s=12.5, kept=7, waiting=1, lost=2,
    clock="synchronised", disk_free_mb=512, rss_mb=41, problem="", version="1",
    devices=(
        DeviceStatus("meter-7", 'Hall "B"\n', "modbus", "late", 61.5, 5, {}, {}, {}, {"NoAnswer": 3}, ""),
        DeviceStatus("air", "air", "modbus", "online", None, 0, {}, {}, {}, {}, ""),
    ),
    uplinks=(UplinkStatus("city", True, "mqtt://b", "5", 4, 3, 1, ""),),
    buses=(BusStatus("a", "/dev/ttyUSB0", "gone", 2, 90, {"Garbled": 1}, 17, 0.25),),
    board=Board(51.5, 0.5, 4, throttled=False, under_voltage=None),
)  # fmt: skip


def values(text: str) -> dict[str, float]:
    """Return what each line says, by name and labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def judged(text: str) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.fail("promtool is missing; run make test as root, or apt-get install prometheus")
    done = subprocess.run(
        [program, "check", "metrics"], input=text, text=True, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


async def asked(at: str, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") -> tuple[str, str]:
    """Return the head and the body of an answer."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(*split(at))
        writer.write(request)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head, body


def test_what_is_exposed_is_by_the_conventions() -> None:
    text = exposed(STATUS).decode()
    judged(text)
    found = values(text)
    assert found['edge_agent_device_availability{availability="late",device="meter-7"}'] == 1
    assert found['edge_agent_device_availability{availability="online",device="meter-7"}'] == 0
    assert found['edge_agent_device_silence_seconds{device="meter-7"}'] == 61.5
    assert 'edge_agent_device_silence_seconds{device="air"}' not in found
    assert found['edge_agent_device_faults_total{device="meter-7",fault="NoAnswer"}'] == 3
    assert found['edge_agent_uplink_readings_owed{uplink="city"}'] == 3
    assert found['edge_agent_bus_failures_total{bus="a",kind="Garbled"}'] == 1
    assert found['edge_agent_bus_up{bus="a"}'] == 0
    assert found["edge_agent_readings_lost_total"] == 2
    assert found["edge_agent_disk_free_bytes"] == 512e6
    assert found["edge_agent_board_temperature_celsius"] == 51.5
    assert found["edge_agent_board_throttled"] == 0
    assert "edge_agent_board_under_voltage" not in found
    assert found["edge_agent_problems"] == 2


async def test_an_agent_is_asked(tmp_path: Path) -> None:
    at = f"127.0.0.1:{free_port()}"
    async with sensor(tmp_path) as port:
        file = config(tmp_path, port, f'[metrics]\nlisten = "{at}"\n')
        async with running(file) as place:
            told = json.loads((await until(place, 0, "--json")).out)
            head, text = await asked(at)
    assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    judged(text)
    found = values(text)
    assert found['edge_agent_device_availability{availability="online",device="air"}'] == 1
    assert found["edge_agent_readings_kept_total"] >= told["kept"]
    assert found["edge_agent_board_cores"] == told["board"]["cores"]


async def answered(at: str) -> bool:
    with suppress(ConnectionResetError):
        return bool((await asked(at))[0])
    return False


async def test_what_else_is_asked_is_refused_and_nobody_holds_it_up() -> None:
    at = f"127.0.0.1:{free_port()}"
    async with exposing(at, lambda: STATUS):
        silent = [await asyncio.open_connection(*split(at)) for _ in range(4)]
        reader, writer = await asyncio.open_connection(*split(at))  # one too many
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.transport.abort()
        for _, one in silent:
            one.transport.abort()
        async with asyncio.timeout(60):
            while not await answered(at):  # noqa: ASYNC110 - it notices in its own time that they are gone
                await asyncio.sleep(0.02)
        for request, status in (
            (b"GET / HTTP/1.1\r\n\r\n", "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"\x16\x03\x01\r\n\r\n", "400"),
            (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"),
        ):
            assert (await asked(at, request))[0].split()[1] == status
        assert await asked(at, b"x" * 20_000) == ("", "")


async def test_a_place_that_is_taken_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        async with exposing(at, lambda: STATUS):
            assert f"nobody can be answered at {at}" in caplog.text


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ('listen = "0.0.0.0:9464"', "add public = true"),
        ('listen = "[::]:9464"', "add public = true"),
        ('listen = "9464"', "is no address to listen at"),
        ('listen = "gateway:9464"', "names no address of this machine"),
        ('listen = "127.0.0.1:70000"', "is no address to listen at"),
        ("listen = 9464", "is not text"),
        ('listen = "0.0.0.0:9464"\npublic = true', ""),
        ('listen = "[::1]:9464"', ""),
        ('listen = ""', ""),
    ],
)
def test_other_machines_only_where_it_is_said(tmp_path: Path, lines: str, wrong: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f'config = 1\ngateway = {{ site = "s", id = "g" }}\n[metrics]\n{lines}\n', "utf-8")
    if not wrong:
        assert load(file).metrics.listen == lines.split('"')[1]
        return
    with pytest.raises(SettingsError, match=wrong):
        load(file)


def test_it_is_loaded_where_it_is_used() -> None:
    code = "import sys, edge_agent.service; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
