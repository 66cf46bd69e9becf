"""``edge-agent listen`` on a wire: what devices say, and what another master asks and is answered."""

import asyncio
import json
import signal
from contextlib import suppress
from pathlib import Path

from typer.testing import CliRunner

from edge_agent.bus.line import SerialLine
from edge_agent.bus.modbus import Rtu
from edge_agent.bus.serial import SerialFormat
from edge_agent.cli import app
from edge_agent.demo import radar
from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.tty_end import TtyEnd
from edge_agent.demo.wire import Wire
from edge_agent.driver import NoAnswer, Read
from edge_agent.profile import profile_text
from tests.cli.verb import finished, started


async def test_a_radar_is_shown_live(tmp_path: Path) -> None:
    with Wire(tmp_path / "near", tmp_path / "far", radar.BAUD) as wire, radar.Module(wire.far) as module:
        talk = asyncio.create_task(module.watch())
        async with started("listen", str(wire.near), "--driver", "ld2410", "--json") as listening:
            assert listening.stdout is not None
            async with asyncio.timeout(60):
                frames = [json.loads(await listening.stdout.readline()) for _ in range(5)]
            listening.send_signal(signal.SIGINT)
            said = await finished(listening)
        talk.cancel()
    assert said.code == 0, said.err
    assert said.err == f"listening to {wire.near} at 256000 8N1; Ctrl-C ends it\n"
    assert all(frame["samples"]["occupancy"]["unit"] == "1" for frame in frames if frame["who"])


async def test_the_talk_of_another_master(tmp_path: Path) -> None:
    """The listener hears both: the master's own line carries what it hears and says to a third port."""
    air = unit(7, profile_text("modbus", "xy_md02"), lambda: {"temperature": 30.5, "humidity": 48.6})
    with (
        Wire(tmp_path / "near", tmp_path / "far", 9600) as wire,
        Wire(tmp_path / "ear", tmp_path / "mouth", 9600) as overheard,
        Slaves(wire.far, [air]),
        TtyEnd(overheard.far) as mouth,
    ):
        line = SerialLine(str(wire.near), SerialFormat(9600), tap=lambda _, piece: mouth.send(piece))
        async with started("listen", str(overheard.near)) as listening:
            assert listening.stderr is not None
            assert b"at 9600 8N1" in await listening.stderr.readline()
            asking, said = asyncio.create_task(_ask(line)), b""
            async with asyncio.timeout(60):
                while b"answers" not in said:
                    assert listening.stdout is not None
                    said = await listening.stdout.readline()
            asking.cancel()
            await asyncio.wait((asking,))
            listening.send_signal(signal.SIGINT)
            ended = await finished(listening)
        await line.close()
    assert b"modbus  unit 7 answers, input from 1: 0131 01e6" in said
    assert ended.code == 0, ended.err


async def _ask(line: SerialLine) -> None:
    while True:
        with suppress(NoAnswer):
            await Rtu(line.place()).read(Read(7, "input", 1, 2))


async def test_what_nobody_knows_is_shown_in_hex(tmp_path: Path) -> None:
    with Wire(tmp_path / "near", tmp_path / "far", 9600) as wire, TtyEnd(wire.far) as end:
        async with started("listen", str(wire.near), "--for", "60s") as listening:
            assert listening.stdout is not None
            assert listening.stderr is not None
            await listening.stderr.readline()
            talking = asyncio.create_task(_say(end, b"temp=21.5\r\n"))
            async with asyncio.timeout(60):
                while b"temp=21.5".hex(" ").encode() not in (shown := await listening.stdout.readline()):
                    assert shown, "it has ended"
            listening.send_signal(signal.SIGINT)
            said = await finished(listening)
            talking.cancel()
    assert said.code == 1
    assert b"?  " in shown


async def _say(end: TtyEnd, words: bytes) -> None:
    while True:
        end.send(words)
        await asyncio.sleep(0.5)


def test_what_cannot_be_done_is_said() -> None:
    for words, message in (
        (("/dev/none",), "/dev/none is not there"),
        (("/dev/none", "--driver", "ld2401"), "there is no driver 'ld2401'"),
        (("/dev/none", "--speed", "fast"), "is no serial format"),
        (("tcp://plc",), "tcp:// is not supported; write"),
        (("/dev/none", "--for", "soon"), "--for 'soon' is not a duration; write"),
        (("/dev/none", "--set", "key=1"), "name it with --driver"),
        (("/dev/none", "--driver", "modbus", "--set", "key=1"), "leave out --set"),
        (("/dev/none", "--driver", "d0", "--set", "key=1"), "there is no setting 'key'"),
    ):
        result = CliRunner().invoke(app, ["listen", *words])
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        told = CliRunner().invoke(app, ["listen", *words, "--json"])
        assert (told.exit_code, json.loads(told.stdout)) == (2, {"error": result.stderr.splitlines()[-1]})


def test_a_secret_in_a_wrong_setting_is_not_shown() -> None:
    result = CliRunner().invoke(app, ["listen", "/dev/none", "--driver", "d0", "--set", "key=hunter2"])
    assert "hunter2" not in result.output
