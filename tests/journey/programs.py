"""The program as a user starts it, and what its outbox holds afterwards."""

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from edge_agent.event import GATEWAY

_MAIN = "from edge_agent.cli import main; main()"
NO_MOSQUITTO = "from edge_agent.demo import mosquitto; mosquitto.find = lambda: None"
"""As on a machine where it is not installed."""

_LONGEST_S = 90


class Program:
    """A running ``edge-agent``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

        self._said = b""  # on stdout, as far as it was read

    async def says(self, enough: Callable[[list[dict[str, Any]]], object]) -> None:
        """Wait until what it has printed with ``--json``, an object each line, is enough."""
        assert self.process.stdout is not None
        told: list[dict[str, Any]] = []
        async with asyncio.timeout(_LONGEST_S):
            while not enough(told):
                line = await self.process.stdout.readline()
                assert line, "it has ended"
                self._said += line
                told.append(json.loads(line))

    async def over(self, within: float = _LONGEST_S) -> tuple[int, str, str]:
        """Wait for its end; return the exit code, stdout and stderr."""
        async with asyncio.timeout(within):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, (self._said + out).decode(), err.decode()


@asynccontextmanager
async def edge_agent(
    *arguments: str, before: str = "", environment: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Start it, and see that it ends with the test. ``before``: what is done in its process first."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", f"{before}\n{_MAIN}", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def summary(out: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the readings and the summary that ``demo --json`` printed; every line must be an object."""
    *readings, last = [json.loads(line) for line in out.splitlines()]
    return readings, last


def kept(outbox: Path) -> dict[tuple[str, str], set[int]]:
    """Return the numbers of the readings in an outbox file by device and epoch: none before it has a log."""
    found: dict[tuple[str, str], set[int]] = {}
    if not outbox.exists():
        return found
    with closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'log'").fetchone():
            return found
        rows = db.execute(
            "SELECT device, epoch.name, seq FROM log JOIN stream ON stream.id = log.stream"
            " JOIN epoch ON epoch.id = stream.epoch WHERE device <> ?",
            (GATEWAY,),  # its rows are events
        )
        for device, epoch, seq in rows:
            found.setdefault((device, epoch), set()).add(seq)
    return found


def one_identity_each(readings: Mapping[tuple[str, str], Mapping[int, Any]]) -> None:
    """Fail when one reading came under two numbers: a device reads once at an instant."""
    for (device, _), known in readings.items():
        instants = [(item["ts"], json.dumps(item["values"], sort_keys=True)) for item in known.values()]
        assert len(set(instants)) == len(instants), device
