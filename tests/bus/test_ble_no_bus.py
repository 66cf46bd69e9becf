"""A radio without a system bus, or with one that lets nobody in; and an agent that needs neither."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.bus.ble.radio import Pace, Radio
from tests.bluez import until

PACE = Pace(start=20, retry=0.01, longest_retry=0.02, bus_retry=0.01)


@asynccontextmanager
async def running(made: Radio) -> AsyncIterator[Radio]:
    task = asyncio.create_task(made.run())
    try:
        yield made
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    "address", ["nonsense", "unix:path=/nowhere/at/all", "unix:nothing=1", "tcp:host=127.0.0.1,port=1"]
)
async def test_a_system_bus_that_cannot_be_reached(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again for ever; nothing is raised."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    async with running(Radio("hci0", active=True, expect=lambda: None, pace=PACE)) as made:
        await until(lambda: made.problem != "starting")
        await asyncio.sleep(0.2)
        assert made.problem


async def _turns_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let a client begin, and close: so does a system bus that restarts, or that does not know the user."""
    await reader.readline()
    writer.write(b"REJECTED EXTERNAL\r\n")
    await writer.drain()
    writer.close()


async def test_a_system_bus_that_lets_nobody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[asyncio.Task[None]] = []

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(task := asyncio.create_task(_turns_away(reader, writer)))
        await asyncio.wait((task,))

    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    made = Radio("hci0", active=True, expect=lambda: None, pace=PACE)
    async with await asyncio.start_unix_server(served, tmp_path / "bus"):
        async with running(made):
            await until(lambda: len(tries) > 6)
            assert "this user may not use bluetooth" in made.problem
        await asyncio.wait(tries)  # or one of them may outlive the loop


async def test_bleak_is_not_loaded_where_nothing_needs_it() -> None:
    code = "import sys, edge_agent.agent.agent, edge_agent.agent.buses; sys.exit('bleak' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    async with asyncio.timeout(60):
        assert await process.wait() == 0
