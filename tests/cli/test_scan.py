"""``edge-agent scan serial`` on wires that take their time: what is there is found, nothing is written."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_agent.bus.modbus import read_request
from edge_agent.cli import app
from edge_agent.demo import radar, world
from edge_agent.demo.dlt645 import Meter
from edge_agent.demo.slave import Slaves, Unit, unit
from edge_agent.demo.tty_end import TtyEnd
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from edge_agent.settings.load import load
from tests.cli.verb import finished, started, verb

NARROW = ("--speeds", "9600 8N1", "--within", "400ms", "--driver", "modbus")
PATIENT = ("--speeds", "9600 8N1", "--within", "3s", "--driver", "modbus")  # where somebody is there


def device(address: int, profile: str, values: dict[str, float]) -> Unit:
    return unit(address, profile_text("modbus", profile), lambda: values)


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    with Wire(tmp_path / "near", tmp_path / "far", 9600) as made:
        yield made


def best(said: dict[str, Any]) -> dict[str, str]:
    return {one["who"]: one["fits"][0]["settings"].get("profile", "") for one in said["found"]}


async def test_three_profiles_on_one_bus(wire: Wire, tmp_path: Path) -> None:
    pzem = {"voltage": 229.5, "current": 1.2, "power": 270.0, "energy_import": 12.3, "frequency": 50.0}
    units = [
        device(1, "eastron_sdm120", world.meter(1000.0)),
        device(3, "xy_md02", {"temperature": 30.5, "humidity": 48.6}),
        device(4, "pzem_004t_v3", pzem),
    ]
    with Slaves(wire.far, units):
        found = await verb("scan", "serial", str(wire.near), *PATIENT, "--addresses", "1-4", "--json")
        snippet = await verb("scan", "serial", str(wire.near), *PATIENT, "--addresses", "1,3", "--toml")
    assert found.code == 0, found.err
    said = json.loads(found.out)
    assert said["complete"]
    assert best(said) == {"unit 1": "eastron_sdm120", "unit 3": "xy_md02", "unit 4": "pzem_004t_v3"}
    meter, air, _ = (one["fits"] for one in said["found"])
    assert meter[0]["values"]["voltage"][1] == "V"
    assert meter[0]["values"]["voltage"][0] == pytest.approx(world.meter(1000.0)["voltage"])
    # the clone that counts in hundredths answers the same: 3.05 degrees are possible, too
    assert [fit["settings"]["profile"] for fit in air] == ["xy_md02", "xy_md02_x100"]
    assert all("others fit as well" in fit["doubts"][-1] for fit in air)

    config = tmp_path / "agent.toml"
    config.write_text(snippet.out, "utf-8")
    loaded = load(config)
    (bus,) = loaded.bus.values()
    assert (bus.port, bus.serial) == (str(wire.near), "9600 8N1")
    assert [dict(one.settings) for one in loaded.device.values()] == [
        {"profile": "eastron_sdm120", "address": 1},
        {"profile": "xy_md02", "address": 3},
    ]
    assert "# in doubt: others fit as well" in snippet.out


async def test_a_meter_tells_its_address(wire: Wire) -> None:
    """A DL/T 645 meter shares the line with a Modbus unit; both are found."""
    meter = Meter("000012345678", profile_text("dlt645", "dlt645_2007_single"), lambda: world.flat(1000.0))
    with Slaves(wire.far, [device(1, "eastron_sdm120", world.meter(1000.0))], meter.hear):
        said = await verb(
            *("scan", "serial", str(wire.near), *PATIENT, "--driver", "dlt645", "--addresses", "1", "--json")
        )
    assert said.code == 0, said.err
    found = json.loads(said.out)["found"]
    assert [one["who"] for one in found] == ["dlt645 000012345678", "unit 1"]
    (fit,) = found[0]["fits"]
    assert fit["settings"] == {"profile": "dlt645_2007_single", "address": "000012345678"}
    assert fit["values"]["voltage_a"] == [pytest.approx(world.flat(1000.0)["voltage_a"], abs=0.1), "V"]


async def test_a_unit_behind_modbus_tcp(tmp_path: Path) -> None:
    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.add(task)
        while len(asked := await reader.read(12)) == 12:
            unit, function, start, count = asked[6], asked[7], asked[9], asked[11]
            words = bytes([0x01, 0x31, 0x01, 0xE6]) if (function, start, count) == (4, 1, 2) else b""
            said = bytes([unit, 4, len(words)]) + words if words else bytes([unit, function | 0x80, 2])
            if unit == 3:
                writer.write(asked[:4] + len(said).to_bytes(2) + said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = f"modbus-tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        said = await verb("scan", "serial", port, *PATIENT[2:], "--addresses", "2-3", "--json")
        snippet = await verb("scan", "serial", port, *PATIENT[2:], "--addresses", "3", "--toml")
        await asyncio.wait(answering)
    assert best(json.loads(said.out)) == {"unit 3": "xy_md02"}
    config = tmp_path / "agent.toml"
    config.write_text(snippet.out, "utf-8")
    assert [bus.port for bus in load(config).bus.values()] == [port]


async def test_the_agent_that_has_the_port_is_named(wire: Wire, tmp_path: Path) -> None:
    """Where it cannot be asked to lend it."""
    config = tmp_path / "agent.toml"
    outbox = f'[outbox]\npath = "{tmp_path}/outbox.db"\n'
    bus = f'[bus.a]\nport = "{wire.near}"\n[device.it]\ndriver = "ld2410"\nbus = "a"\n'
    config.write_text(f'config = 1\ngateway = {{ site = "s", id = "g" }}\n{outbox}{bus}', "utf-8")
    words = ("scan", "serial", str(wire.near), *NARROW, "--addresses", "1")
    agent = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("edge-agent")),
        *("run", "--config", str(config), "--socket", str(tmp_path / "elsewhere.sock")),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            said = await verb(*words)
            while said.code != 2:
                said = await verb(*words)
    finally:
        agent.terminate()
        await agent.wait()
    assert f"edge-agent run (pid {agent.pid})" in said.err
    assert "it lends the port to root and to members of the group edge-agent" in said.err


async def test_a_radar_is_heard_and_nobody_is_asked(tmp_path: Path) -> None:
    with (
        Wire(tmp_path / "near", tmp_path / "far", radar.BAUD) as wire,
        radar.Module(wire.far) as module,
    ):
        talk = asyncio.create_task(module.watch())
        said = await verb("scan", "serial", str(wire.near), "--speeds", "256000 8N1", "--driver", "ld2410")
        talk.cancel()
    assert said.code == 0, said.err
    assert "256000 8N1  speaks unasked\n    fits: ld2410" in said.out
    assert "nobody was asked" in said.out
    assert module.told == 0


async def test_an_empty_port_is_asked_with_reading_requests_only(wire: Wire) -> None:
    asked = bytearray()
    with TtyEnd(wire.far, asked.extend):
        said = await verb("scan", "serial", str(wire.near), *NARROW, "--addresses", "1-5,9")
    assert said.code == 1
    assert said.out.startswith(f"nothing was found on {wire.near}\n")
    assert "takes at most" in said.err.splitlines()[0]
    questions = [read_request(bytes(asked[at : at + 8])) for at in range(0, len(asked), 8)]
    assert [question.unit for question in questions] == [1, 2, 3, 4, 5, 9]


async def test_ctrl_c_shows_what_was_found_so_far(wire: Wire) -> None:
    asked, later = bytearray(), asyncio.Event()

    class Watched(Slaves):
        def _hear(self, arrived: bytes) -> None:
            asked.extend(arrived)
            if b"\x03\x03\0\0\0\1" in asked:
                later.set()
            super()._hear(arrived)

    with Watched(wire.far, [device(1, "xy_md02", {"temperature": 30.5, "humidity": 48.6})]):
        async with started("scan", "serial", str(wire.near), *PATIENT, "--addresses", "1-247") as scanning:
            async with asyncio.timeout(60):
                await later.wait()
            scanning.send_signal(signal.SIGINT)
            said = await finished(scanning)
    assert said.code == 130, said.err
    assert "9600 8N1  unit 1\n    fits: modbus profile=xy_md02 address=1" in said.out
    assert "note: the scan was stopped before its end" in said.out
    assert "Traceback" not in said.err


async def test_somebody_elses_talk_is_told_and_never_taken_for_a_device(wire: Wire) -> None:
    async def talk(end: TtyEnd) -> None:
        while True:
            end.send(b"temp=21.5\r\n")
            await asyncio.sleep(0.05)

    with TtyEnd(wire.far) as end:
        talking = asyncio.create_task(talk(end))
        words = ("--speeds", "9600 8N1", "--within", "400ms", "--addresses", "1-2", "--json")
        said = await verb(
            "scan", "serial", str(wire.near), *words, "--driver", "ld2410", "--driver", "modbus"
        )
        talking.cancel()
    told = json.loads(said.out)
    assert (said.code, told["found"]) == (1, [])
    assert any("bytes were heard that no driver knows" in note for note in told["notes"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--addresses", "0-4"), "Modbus addresses are 1 to 247"),
        (("--addresses", "some"), "is no list of addresses; write 1-32 or 1,7,20-29"),
        (("--speeds", "fast"), "is no serial format"),
        (("--driver", "modbuss"), "did you mean modbus or mbus?"),
        (("--within", "0s"), "is no time at all"),
        (("--json", "--toml"), "cannot be given together"),
        ((), "/dev/none is not there"),
        (("--driver", "ruuvi"), "ruuvi cannot be found on such a port"),
    ],
)
def test_what_cannot_be_done_is_said(words: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["scan", "serial", "/dev/none", *words])
    assert result.exit_code == 2
    assert message in result.stderr
    told = json.dumps({"error": result.stderr.strip()}) + "\n"
    assert result.stdout == (told if "--json" in words else "")
    assert len(result.stderr.splitlines()) == 1  # not a word of a scan that never began


def test_without_a_port_the_ports_are_listed() -> None:
    result = CliRunner().invoke(app, ["scan", "serial"])
    if result.exit_code:
        assert result.stderr == "there is no serial port; plug in an adapter\n"
    else:
        assert "scan one with: edge-agent scan serial /dev/" in result.stdout
