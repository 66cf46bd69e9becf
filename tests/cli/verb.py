"""Run a verb as a user does: in a process of its own, while the test plays the devices."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


@asynccontextmanager
async def started(*words: str, before: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    """Start it. ``before``: what is done in its process first."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{before}\nfrom edge_agent.cli import main; main()", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "200"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def finished(process: asyncio.subprocess.Process) -> Said:
    async with asyncio.timeout(LIMIT):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


async def verb(*words: str) -> Said:
    async with started(*words) as process:
        return await finished(process)
