"""No process of the demo outlives it, however it ends."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from edge_agent.demo import broker, child, mosquitto

_PARENT = """
import asyncio, sys
from pathlib import Path
from edge_agent.demo import broker, on_air, park
from edge_agent.demo.bluez.private_bus import PrivateBus

async def main(directory):
    login = broker.own_login(directory)
    with on_air.running(directory, directory / "secrets"), PrivateBus(directory / "b") as bus:
        async with park.running(directory, directory / "secrets") as devices:
            async with broker.running(directory, login) as served:
                print(devices.pid, served._process.pid, bus._process.pid, flush=True)
                await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


async def _end_of(pidfd: int) -> None:
    """Wait until a process that is not our child has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        async with asyncio.timeout(60):
            await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


async def test_park_broker_and_bus_die_with_a_demo_that_is_killed(tmp_path: Path) -> None:
    if mosquitto.find() is None:
        pytest.fail("mosquitto is missing; run make test as root, or apt-get install mosquitto")
    (tmp_path / "b").mkdir()
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PARENT, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        async with asyncio.timeout(60):
            children = [int(pid) for pid in (await parent.stdout.readline()).split()]
        assert len(children) == 3
        watched = [os.pidfd_open(pid) for pid in children]
    finally:
        parent.send_signal(signal.SIGKILL)
        await parent.wait()
    for descriptor in watched:
        await _end_of(descriptor)

    # and nothing they left behind is in the way of the next start
    login = broker.own_login(tmp_path)
    async with broker.running(tmp_path, login):
        _, writer = await asyncio.open_connection(login.host, login.port)
        writer.close()
        await writer.wait_closed()


async def test_a_child_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    not_its_parent = os.getppid()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", child.__name__, str(not_its_parent), "touch", str(mark))
    )
    async with asyncio.timeout(60):
        await process.wait()
    assert not mark.exists()


async def test_stop_ends_a_child_that_ignores_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_STOP_WITHIN", 0.2)
    stubborn = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    )
    process = await child.start(sys.executable, "-c", stubborn, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(60):
        await process.stdout.readline()
        await child.stop(process)
    assert process.returncode == -signal.SIGKILL
