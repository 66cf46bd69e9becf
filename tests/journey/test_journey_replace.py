"""A gateway that dies, and another in its place from a backup: nothing that was in it goes missing."""

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from edge_agent.demo.slave import Slaves, unit
from edge_agent.demo.wire import Wire
from edge_agent.profile import profile_text
from tests.faults.broker import running as broker_running
from tests.journey.programs import edge_agent, kept, one_identity_each
from tests.uplink.rig import listening

pytestmark = pytest.mark.xdist_group("journey")

FILE = """\
config = 1
[gateway]
site = "east-park"
id = "gw-01"
[outbox]
path = "{folder}/state/outbox.db"
window = "100ms"
[clock]
trust = "always"
[uplink.city]
servers = ["mqtt://127.0.0.1:{port}"]
spread = "0s"
[bus.line]
port = "{folder}/near"
serial = "9600 8N1"
[device.climate]
driver = "modbus"
bus = "line"
settings = {{ profile = "xy_md02", address = 2 }}
interval = "200ms"
"""


async def _verb(*arguments: str) -> str:
    async with edge_agent(*arguments) as program:
        code, out, error = await program.over()
    assert code == 0, error
    return out + error


def _kept(outbox: Path) -> int:
    return sum(len(seqs) for seqs in kept(outbox).values())


async def _has_kept(outbox: Path, count: int) -> None:
    async with asyncio.timeout(60):
        while _kept(outbox) < count:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)


async def test_another_gateway_takes_its_place(tmp_path: Path) -> None:
    etc, saved, outbox = tmp_path / "etc", tmp_path / "gw-01.tar.gz", tmp_path / "state/outbox.db"
    etc.mkdir()
    (etc / "secrets").mkdir(mode=0o750)
    (etc / "secrets/city-password").write_text("opensesame")
    file = etc / "agent.toml"
    climate = unit(2, profile_text("modbus", "xy_md02"), lambda: {"temperature": 21.5, "humidity": 40.0})
    async with AsyncExitStack() as stack:
        stack.enter_context(Wire(tmp_path / "near", tmp_path / "far", 9600))
        stack.enter_context(Slaves(tmp_path / "far", [climate]))
        broker = await stack.enter_async_context(broker_running(tmp_path / "broker", start=False))
        file.write_text(FILE.format(folder=tmp_path, port=broker.port), "utf-8")
        async with edge_agent("run", "-c", str(file)) as first:  # no broker: all of it is a backlog
            await _has_kept(outbox, 5)
            await _verb("backup", "--outbox", "-c", str(file), str(saved))
            await _has_kept(outbox, _kept(outbox) + 3)
            first.process.kill()
            await first.over()
        ((_, epoch),) = kept(outbox)
        shutil.rmtree(etc)
        shutil.rmtree(outbox.parent)

        assert "east-park/gw-01 is back" in await _verb("restore", "--folder", str(etc), str(saved))
        assert (etc / "secrets/city-password").read_text() == "opensesame"
        in_backup = kept(outbox)["climate", epoch]
        assert len(in_backup) >= 5
        await broker.start()
        listener = await stack.enter_async_context(listening(broker.port))
        async with edge_agent("run", "-c", str(file)) as second:
            await listener.until(lambda: len(listener.readings()) == 2, 60)
            await listener.until(lambda: in_backup <= listener.readings()["climate", epoch].keys(), 60)
            await listener.until(lambda: listener.of("loss"), 60)
            second.process.terminate()
            code, _, log = await second.over()
            assert code == 0, log
        readings, losses = listener.readings(), listener.of("loss")
    one_identity_each(readings)
    assert set(readings["climate", epoch]) == in_backup
    ends = [loss.payload for loss in losses if loss.payload["to_seq"] is None]
    (end,) = [end for end in ends if end["device"] == "climate"]  # events that were told have an end, too
    assert (end["epoch"], end["from_seq"]) == (epoch, max(in_backup) + 1)
