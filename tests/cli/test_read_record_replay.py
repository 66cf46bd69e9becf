"""``read``, ``record`` and ``replay``: a device is read, recorded, and read again from its capture."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.demo import radar
from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.tty_end import TtyEnd
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from tests.cli.verb import finished, started, verb

AIR = {"temperature": 30.5, "humidity": 48.6}


def config(folder: Path, port: Path, driver: str, settings: str = "") -> Path:
    file = folder / f"{driver}-{port.name}.toml"
    file.write_text(
        f"""\
config = 1
gateway = {{ site = "east-park", id = "gw-01" }}
[bus.a]
port = "{port}"
[device.it]
driver = "{driver}"
bus = "a"
interval = "500ms"
settings = {{ {settings} }}
""",
        "utf-8",
    )
    return file


MODBUS = 'profile = "xy_md02", address = 7'


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    with Wire(tmp_path / "near", tmp_path / "far", 9600) as made:
        yield made


@asynccontextmanager
async def sensor(wire: Wire, air: dict[str, float]) -> AsyncIterator[None]:
    with Slaves(wire.far, [unit(7, profile_text("modbus", "xy_md02"), lambda: air)]):
        yield


@asynccontextmanager
async def replayed(file: Path, *words: str) -> AsyncIterator[Path]:
    async with started("replay", str(file), *words) as playing, asyncio.timeout(60):
        assert playing.stdout is not None
        said = await playing.stdout.readline()
        assert said, (await playing.communicate())[1].decode()
        yield Path(said.decode().strip())
        playing.terminate()
        assert (await finished(playing)).code == 0


async def asked(capture: Path, times: int) -> None:
    while not capture.exists() or capture.read_text("utf-8").count('"sent"') < times:  # noqa: ASYNC110, ASYNC240 - another process's
        await asyncio.sleep(0.05)


def samples(said: str) -> dict[str, Any]:
    return {name: channel["value"] for name, channel in json.loads(said)["channels"].items()}


async def test_a_reading_with_its_quality_and_its_bytes(wire: Wire, tmp_path: Path) -> None:
    file = config(tmp_path, wire.near, "modbus", MODBUS)
    async with sensor(wire, AIR):
        said = await verb("read", "it", "--config", str(file), "-v")
        assert said.code == 0, said.err
        first, *lines = said.out.splitlines()
        assert first.startswith("it: XY-MD02")
        assert re.search(r", 9600 8N1; read \d+\.\d", first)
        assert [line.split() for line in lines] == [
            ["temperature", "30.5", "°C", "good"],
            ["humidity", "48.6", "%", "good"],
        ]
        assert "sent   07 04 00 01 00 02" in said.err
    async with sensor(wire, {"temperature": 900.0, "humidity": 48.6}):
        told = json.loads((await verb("read", "it", "--config", str(file), "--json")).out)
        assert told["channels"]["temperature"]["quality"] == ["suspect", "above_plausible"]
        assert told["channels"]["humidity"] == {"value": 48.6, "unit": "%", "quality": ["good", ""]}


async def test_silence_is_a_fault_and_no_port_cannot_be_done(wire: Wire, tmp_path: Path) -> None:
    silent = await verb("read", "it", "--config", str(config(tmp_path, wire.near, "modbus", MODBUS)))
    assert (silent.code, silent.out) == (1, "")
    assert silent.err.startswith("it: NoAnswer: no answer on ")
    radar_config = config(tmp_path, wire.near, "ld2410")
    unheard = await verb("read", "it", "--config", str(radar_config), "--within", "300ms", "--json")
    assert (unheard.code, json.loads(unheard.out)["fault"]) == (1, "NoAnswer")
    gone = await verb("read", "it", "--config", str(config(tmp_path, tmp_path / "none", "modbus", MODBUS)))
    assert (gone.code, gone.err.count("\n")) == (2, 1)
    assert "none is not there" in gone.err
    unknown = await verb("read", "them", "--config", str(radar_config))
    assert (unknown.code, unknown.err) == (
        2,
        "there is no device 'them' in this configuration; there are: it\n",
    )


async def test_a_capture_of_an_answerer_is_read_as_the_device_was(wire: Wire, tmp_path: Path) -> None:
    capture = tmp_path / "air.jsonl"
    live = config(tmp_path, wire.near, "modbus", MODBUS)
    air = dict(AIR)
    async with sensor(wire, air), started("record", str(capture), "--device", "it", "-c", str(live)) as it:
        async with asyncio.timeout(60):
            await asked(capture, 2)
            air["temperature"] = -5.5
            await asked(capture, 5)
        it.terminate()
        assert (await finished(it)).code == 0
    head, *pieces = [json.loads(line) for line in capture.read_text("utf-8").splitlines()]
    assert head["serial"] == "9600 8N1"
    assert (head["driver"], head["settings"]) == ("modbus", {"profile": "xy_md02", "address": 7})
    assert pieces[0]["sent"].startswith("0704")

    decoded = CliRunner().invoke(app, ["decode", "--capture", str(capture)])
    told = [json.loads(line) for line in decoded.stdout.splitlines()]
    recorded = [one["samples"]["temperature"]["value"] for one in told if "samples" in one]
    assert recorded[0] == 30.5
    assert recorded[-1] == -5.5

    link = tmp_path / "played"
    file = config(tmp_path, link, "modbus", MODBUS)
    async with replayed(capture, "--link", str(link), "--speed-up", "5") as port:
        assert port == link
        heard = [samples((await verb("read", "it", "-c", str(file), "--json")).out) for _ in range(2)]
        assert heard[0] == AIR
        assert [one["temperature"] for one in heard] == recorded[:2]
    assert not link.is_symlink()


async def test_a_capture_of_a_talker_is_read_as_the_device_was(tmp_path: Path) -> None:
    capture = tmp_path / "radar.jsonl"
    with Wire(tmp_path / "near", tmp_path / "far", radar.BAUD) as wire, radar.Module(wire.far) as module:
        talk = asyncio.create_task(module.watch())
        words = ("record", str(capture), "--port", str(wire.near), "--speed", "256000 8N1")
        async with started(*words) as recording, asyncio.timeout(60):
            while not capture.exists() or capture.read_text("utf-8").count("\n") < 12:  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.05)
            recording.send_signal(signal.SIGINT)
            said = await finished(recording)
        talk.cancel()
    assert said.code == 0, said.err
    decoded = CliRunner().invoke(app, ["decode", "ld2410", "--capture", str(capture)])
    recorded = [json.loads(line)["samples"] for line in decoded.stdout.splitlines() if "samples" in line]
    assert len(recorded) > 5

    async with replayed(capture, "--speed-up", "2") as port:
        file = config(tmp_path, port, "ld2410")
        heard = await verb("read", "it", "-c", str(file), "--json")
        assert heard.code == 0, heard.err
        first = {name: one["value"] for name, one in recorded[0].items()}
        assert samples(heard.out) == first


async def test_a_capture_has_an_end(wire: Wire, tmp_path: Path) -> None:
    async def talk(end: TtyEnd) -> None:
        while True:
            end.send(b"temp=21.5\r\n")
            await asyncio.sleep(0.02)

    capture = tmp_path / "talk.jsonl"
    with TtyEnd(wire.far) as end:
        talking = asyncio.create_task(talk(end))
        said = await verb("record", str(capture), "--port", str(wire.near), "--max-size", "1KB")
        talking.cancel()
    assert (said.code, "it is full (1KB)" in said.err) == (0, True)
    assert 800 < capture.stat().st_size <= 1000


HEAD = '{"capture": 1, "serial": "9600 8N1", "version": "1"}'
PIECE = '{"t": 2, "heard": "00"}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: is not the head of a capture"),
        ('{"capture": 2}\n', "is a capture of format 2; update edge-agent"),
        (
            '{"capture": 1, "serial": "9600 8N1", "version": "1"}\n{"t": 1}\n{"t": 2, "heard": "00"}\n',
            ":2: is",
        ),
        ("[" * 100_000, ":1: is not the head of a capture"),
        ('{"capture": 1, "serial": "9600 8N1", "version": "1", "settings": "x"}\n', ":1: is not the head"),
        (f"{HEAD}\n{'[' * 100_000}\n{PIECE}\n", ":2: is no piece"),
        (f'{HEAD}\n{{"t": NaN, "heard": "00"}}\n{PIECE}\n', ":2: is no piece"),
        (f'{HEAD}\n{{"t": -1, "heard": "00"}}\n{PIECE}\n', ":2: is no piece"),
    ],
)
def test_what_is_no_capture_is_said(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(text, "utf-8")
    result = CliRunner().invoke(app, ["replay", str(file)])
    assert result.exit_code == 2
    assert message in result.stderr
    for other in (tmp_path, tmp_path / "none"):
        assert "is no file" in CliRunner().invoke(app, ["replay", str(other)]).stderr
    again = CliRunner().invoke(app, ["record", str(file), "--port", "/dev/none"])
    assert (again.exit_code, "choose another name" in again.stderr) == (2, True)
    unheard = CliRunner().invoke(app, ["record", str(tmp_path / "b.jsonl"), "--port", "/dev/none"])
    assert (unheard.exit_code, "/dev/none is not there" in unheard.stderr) == (2, True)
    assert not (tmp_path / "b.jsonl").exists()
    nowhere = CliRunner().invoke(app, ["record", str(tmp_path / "b.jsonl"), "--port", "tcp://plc"])
    assert (nowhere.exit_code, "tcp:// is not supported" in nowhere.stderr) == (2, True)
