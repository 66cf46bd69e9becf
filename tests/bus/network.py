"""What the tests of ports over a network share: servers on loopback, and who is asked behind them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge_agent.bus.serial import SerialFormat
from edge_agent.driver import Read

FORMAT = SerialFormat(9600)
PATIENT = 20.0  # seconds that an answer may take which comes: however busy the machine is
PEERS = Path(__file__).parents[1] / "peers"
QUESTION = Read(2, "input", 1, 2)  # temperature and humidity of an XY-MD02
ANSWER = bytes.fromhex("00D7 0190")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run a server until it says "up" and its port."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            said = (await process.stdout.readline()).split()
        assert said[0] == b"up"
        yield process, int(said[1])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[int]:
    """Listen on loopback; give the port."""
    serving: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
