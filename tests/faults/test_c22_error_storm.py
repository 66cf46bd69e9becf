"""C22: errors without end; logs and messages do not multiply with them."""

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from edge_agent.demo import child
from edge_agent.demo.tty_end import TtyEnd
from edge_agent.demo.wire import Wire
from tests.faults.broker import running
from tests.faults.gateway import SITE
from tests.faults.rig import Record, Rig
from tests.faults.witness import Witness, watching

pytestmark = pytest.mark.xdist_group("faults-c22")

_SECONDS = 12


async def test_a_link_that_is_cut_all_the_time(rig: Rig, record: Record) -> None:
    agent = rig.gateway(rig.link.port)
    await agent.start()
    began = asyncio.get_running_loop().time()
    chance = random.Random(22)
    while (took := asyncio.get_running_loop().time() - began) < _SECONDS:
        await asyncio.sleep(chance.uniform(0.05, 0.2))
        await rig.link.cut()
    sessions, lines = len(rig.link.accepted), len(agent.lines())
    counts = await rig.finish(agent)
    record("C22", f"a link cut each 125 ms for {_SECONDS} s", counts, sessions=sessions, log_lines=lines)
    counts.check()
    assert counts.unkept == 0
    assert sessions <= took
    assert lines <= 10 + 2 * sessions


async def test_buses_that_babble_or_are_not_there(tmp_path: Path, record: Record) -> None:
    """The program itself: ten devices on a line full of noise, ten on a port that is gone."""
    near, far = tmp_path / "near", tmp_path / "far"
    async with running(tmp_path / "broker") as broker:
        with watching(broker.port) as witness, Wire(near, far, 9600), TtyEnd(far) as end:
            noise = asyncio.create_task(_noise(end))
            file = _config(tmp_path, broker.port, near)
            log = tmp_path / "agent.log"
            with log.open("wb") as sink:
                process = await child.start(
                    *(
                        sys.executable,
                        "-P",
                        "-c",
                        "from edge_agent.cli import main; main()",
                        "run",
                        "-c",
                        str(file),
                    ),
                    stderr=sink.fileno(),
                )
            online = await asyncio.to_thread(witness.wait, _announced, 60)
            before = witness.messages
            await asyncio.sleep(_SECONDS)
            messages = witness.messages - before
            alive = process.returncode is None
            noise.cancel()
            await child.stop(process)
    lines = log.read_text("utf-8").splitlines()
    kinds = Counter(line.split(" ", 3)[-1] for line in lines)
    record(
        "C22", f"20 devices on noise and on nothing, {_SECONDS} s", log_lines=len(lines), messages=messages
    )
    assert online, "\n".join(lines)
    assert alive, "\n".join(lines)
    assert process.returncode == 0
    assert len(lines) <= 30, "\n".join(lines[:60])
    assert max(kinds.values()) <= 2, kinds.most_common(3)
    assert messages <= _SECONDS


def _announced(heard: Witness) -> bool:
    devices = [f"{bus}-{at}" for bus in ("babble", "gone") for at in range(1, 11)]
    wanted = {"status", *(f"{kind}/{device}" for kind in ("meta", "state") for device in devices)}
    return wanted <= heard.retained.keys()


async def _noise(end: TtyEnd) -> None:
    chance = random.Random(22)
    while True:
        end.send(chance.randbytes(96))
        await asyncio.sleep(0.1)


def _config(folder: Path, port: int, tty: Path) -> Path:
    text = f"""\
config = 1
[gateway]
site = "{SITE}"
id = "gw-01"
[outbox]
path = "{folder / "outbox.db"}"
[clock]
trust = "always"
[uplink.city]
servers = ["mqtt://127.0.0.1:{port}"]
[bus.babble]
port = "{tty}"
serial = "9600 8N1"
[bus.gone]
port = "{folder / "no-such-tty"}"
serial = "9600 8N1"
"""
    for bus in ("babble", "gone"):
        for at in range(1, 11):
            text += f"""\
[device.{bus}-{at}]
driver = "modbus"
bus = "{bus}"
settings = {{ profile = "xy_md02", address = {at} }}
interval = "100ms"
"""
    file = folder / "agent.toml"
    file.write_text(text, "utf-8")
    return file
