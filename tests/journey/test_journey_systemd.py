"""What systemd is told by an agent in a process of its own, over a real NOTIFY_SOCKET."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.outbox.recovery import set_aside
from tests.faults.disk import mounted
from tests.journey.programs import Program, edge_agent

pytestmark = pytest.mark.xdist_group("journey")

_EVERY_US = 900_000  # so it says that it lives each 0.3 s
_LONG_S = 1.2  # in which it would have said so four times


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._news = asyncio.Condition()

    async def hear(self, datagram: bytes) -> None:
        async with self._news:
            self.told += datagram.decode().splitlines()
            self._news.notify_all()

    async def until(self, holds: Callable[[list[str]], object]) -> None:
        try:
            async with asyncio.timeout(60), self._news:
                await self._news.wait_for(lambda: holds(self.told))
        except TimeoutError:
            pytest.fail(f"not told within 30 s: {self.told[-20:]}")

    async def fed(self, times: int = 3) -> None:
        """Wait until it was told so often from now on that the agent is alive."""
        before = self.told.count("WATCHDOG=1")
        await self.until(lambda told: told.count("WATCHDOG=1") >= before + times)


@asynccontextmanager
async def listening(place: Path) -> AsyncIterator[Systemd]:
    made, tasks = Systemd(), set[asyncio.Task[None]]()

    class Heard(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _address: object) -> None:
            tasks.add(asyncio.ensure_future(made.hear(data)))

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Heard, local_addr=str(place), family=1)
    try:
        yield made
    finally:
        transport.close()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def agent(folder: Path, outbox: Path, before: str = "") -> AsyncIterator[tuple[Program, Systemd]]:
    file = folder / "agent.toml"
    file.write_text(
        f"""\
config = 1
gateway = {{ site = "east-park", id = "gw-01" }}
outbox = {{ path = "{outbox}", window = "50ms" }}
clock.trust = "always"
[bus.a]
port = "{folder / "none"}"
[device.air]
driver = "modbus"
bus = "a"
settings = {{ profile = "xy_md02", address = 7 }}
""",
        "utf-8",
    )
    environment = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(_EVERY_US)}
    async with (
        listening(folder / "notify") as systemd,
        edge_agent("run", "--config", str(file), before=before, environment=environment) as program,
    ):
        yield program, systemd


async def test_ready_alive_and_stopping(tmp_path: Path) -> None:
    async with agent(tmp_path, tmp_path / "outbox.db") as (program, systemd):
        await systemd.until(lambda told: "READY=1" in told)
        assert "STATUS=0 of 1 devices online; 0 lost" in systemd.told
        await systemd.fed()
        program.process.send_signal(signal.SIGTERM)
        code, _, err = await program.over(30)
        assert code == 0, err
        await systemd.until(lambda told: "STOPPING=1" in told)
    assert systemd.told.count("READY=1") == 1


async def test_the_journal_is_told_how_grave_a_line_is(tmp_path: Path) -> None:
    """Under systemd stderr is the stream that JOURNAL_STREAM names; elsewhere a line has its time."""
    file = tmp_path / "agent.toml"
    text = 'config = 1\ngateway = { site = "s", id = "g" }\n[bus.a]\nport = "/dev/none"\n'
    device = "[device.d]\ndriver = 'modbus'\nbus = 'a'\nsettings = { profile = 'xy_md02', address = 7 }\n"
    file.write_text(f'{text}{device}[outbox]\npath = "{tmp_path / "outbox.db"}"\n', "utf-8")
    for named in (True, False):
        read, write = os.pipe()
        pipe = os.fstat(write)
        environment = {"JOURNAL_STREAM": f"{pipe.st_dev}:{pipe.st_ino}" if named else "8:1"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edge_agent", "run", "--config", str(file)),
            stderr=write,
            env=os.environ | environment,
        )
        os.close(write)
        with os.fdopen(read) as said:
            try:
                line = ""
                while "/dev/none" not in line:
                    line = await asyncio.to_thread(said.readline)
                    assert line, "it ended by itself"
            finally:
                process.terminate()
                await process.wait()
        assert line.startswith("<4>WARNING edge_agent.bus.port: /dev/none") is named
        assert line[0].isdigit() is not named


STUCK = """\
import signal, time
from edge_agent.outbox import store
def loop(*_): time.sleep(600)
def writer(*_):
    from edge_agent.outbox import outbox, transactions
    import threading
    transactions.write = lambda *_: threading.Event().wait(600)
signal.signal(signal.SIGUSR1, loop)
signal.signal(signal.SIGUSR2, writer)
"""


async def test_a_reload_is_told(tmp_path: Path) -> None:
    async with agent(tmp_path, tmp_path / "outbox.db") as (program, systemd):
        await systemd.until(lambda told: "READY=1" in told)
        program.process.send_signal(signal.SIGHUP)
        await systemd.until(lambda told: told.count("READY=1") == 2)
        told = [line for line in systemd.told if line.partition("=")[0] in {"READY", "RELOADING"}]
        assert told == ["READY=1", "RELOADING=1", "READY=1"]
        program.process.send_signal(signal.SIGTERM)
        code, _, err = await program.over(60)
        assert code == 0, err


KEEPS = """\
from edge_agent.collect import tasks
from edge_agent.driver import Sample
import asyncio
async def ask(device, *_):
    while True:
        device.heard([Sample("temperature", 1), Sample("humidity", 2)])
        await asyncio.sleep(0.05)
tasks.ask = ask
"""


@pytest.mark.parametrize("stuck", [signal.SIGUSR1, signal.SIGUSR2])
async def test_who_is_stuck_is_not_fed(tmp_path: Path, stuck: signal.Signals) -> None:
    """The loop, or the thread that writes."""
    async with agent(tmp_path, tmp_path / "outbox.db", STUCK + KEEPS) as (program, systemd):
        await systemd.until(lambda told: "READY=1" in told)
        await systemd.fed()
        program.process.send_signal(stuck)
        await asyncio.sleep(_LONG_S)
        fed = systemd.told.count("WATCHDOG=1")
        await asyncio.sleep(_LONG_S)
        assert systemd.told.count("WATCHDOG=1") == fed


async def test_a_full_disk_is_not_being_stuck(tmp_path: Path) -> None:
    with mounted(tmp_path, 7) as disk:  # too small for anything to be set aside for this
        async with agent(tmp_path, disk.path / "outbox.db", KEEPS) as (program, systemd):
            await systemd.until(lambda told: "READY=1" in told)
            disk.fill()
            await systemd.until(lambda told: any("does not take readings" in line for line in told))
            await systemd.fed(5)
            disk.free()
            program.process.send_signal(signal.SIGTERM)
            code, _, err = await program.over(60)
            assert code == 0, err


async def test_a_salvage_asks_for_more_time(tmp_path: Path) -> None:
    """The salvage is held back until it has asked."""
    place = tmp_path / "outbox.db"
    async with agent(tmp_path, place, KEEPS) as (program, systemd):
        await systemd.fed()
        program.process.kill()
        await program.over(30)
    held = tmp_path / "held"
    os.mkfifo(held)
    before = f"""\
from edge_agent.outbox import recovery
salvage = recovery.salvage
def slowly(*given):
    open({str(held)!r}).close()
    salvage(*given)
recovery.salvage = slowly
"""
    place.with_name("outbox.db-wal").unlink()
    place.write_bytes(b"\xff" * 5000)
    (tmp_path / "notify").unlink()
    async with agent(tmp_path, place, before + KEEPS) as (program, systemd):
        await systemd.until(lambda told: told.count("EXTEND_TIMEOUT_USEC=60000000") >= 3)
        assert "READY=1" not in systemd.told
        assert "STATUS=opening the outbox" in systemd.told
        with held.open("w"):  # it goes on
            await systemd.until(lambda told: "READY=1" in told)
        await systemd.fed()
        asked = systemd.told.count("EXTEND_TIMEOUT_USEC=60000000")
        await systemd.fed()
        assert systemd.told.count("EXTEND_TIMEOUT_USEC=60000000") == asked
    assert set_aside(place).exists()
