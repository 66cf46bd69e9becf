"""A gateway under test: its folder, its configuration, its process, started and killed at will."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge_agent.demo import child

_RUNNER = Path(__file__).with_name("runner.py")
_FIRST_STATUS_S = 60
SITE = "east-park"

Said = dict[str, Any]


def config(  # noqa: PLR0913 - each is one line of the file
    folder: Path,
    port: int,
    *,
    gateway: str = "gw-01",
    devices: Iterable[str] = ("d1", "d2"),
    outbox: Path,
    window: str = "100ms",
    ack_timeout: str = "30s",  # no broker is so slow; who tests what follows says less
    uplink: str = "",
    stored: str = "",
    device: str = "",
    clock: str = 'trust = "always"',
) -> Path:
    """Write an agent.toml whose uplink goes to a port; ``uplink``, ``stored`` and ``device`` add lines."""
    text = f"""\
config = 1
[gateway]
site = "{SITE}"
id = "{gateway}"
[outbox]
path = "{outbox}"
window = "{window}"
{stored}
[clock]
{clock}
[uplink.city]
servers = ["mqtt://127.0.0.1:{port}"]
protocol = "5"
spread = "0s"
ack_timeout = "{ack_timeout}"
{uplink}
[bus.line]
port = "/dev/null"
serial = "9600 8N1"
"""
    for at, name in enumerate(devices, 1):
        text += f"""\
[device.{name}]
driver = "modbus"
bus = "line"
settings = {{ profile = "xy_md02", address = {at} }}
{device}
[device.{name}.channel.temperature]
plausible = [-inf, inf]
"""
    file = folder / f"{gateway}.toml"
    file.write_text(text, "utf-8")
    return file


@dataclass
class Gateway:
    """One agent's life on one configuration.

    ``kills`` are the instants of SIGKILL, monotonic ms; ``under`` is a command that runs the agent.
    """

    folder: Path
    configs: list[Path]
    outbox: Path
    rate: float = 100
    most: int | None = None
    clock: Said | None = None
    under: tuple[str, ...] = ()
    kills: list[int] = field(default_factory=list)
    starts: int = 0
    said: Said = field(default_factory=dict)
    by_gateway: dict[str, Said] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    _reader: asyncio.Task[None] | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def truth(self) -> Path:
        """The folder with the record of what was read."""
        return self.folder / "truth"

    @property
    def log(self) -> Path:
        """What the agents said, all lives together."""
        return self.folder / "agent.log"

    async def start(self) -> None:
        """Start the agent and wait for its first status: the outbox is open, the devices read."""
        await self.launch()
        await self.until(lambda said: said.get("epoch") and said.get("uplinks"), _FIRST_STATUS_S)

    async def launch(self) -> None:
        """Start the agent, and wait for nothing."""
        self.truth.mkdir(exist_ok=True)
        spec = self.folder / "spec.json"
        spec.write_text(
            json.dumps(
                {
                    "configs": [str(file) for file in self.configs],
                    "truth": str(self.truth),
                    "rate": self.rate,
                    "most": self.most,
                    "clock": self.clock,
                }
            )
        )
        self.starts += 1
        self.said = {}
        with self.log.open("ab") as log:
            self.process = await child.start(
                *(*self.under, sys.executable, "-P", str(_RUNNER), str(spec)),
                stdout=asyncio.subprocess.PIPE,
                stderr=log.fileno(),
            )
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            async with self._news:
                self.said = json.loads(line)
                self.by_gateway[self.said["gateway"]] = self.said
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def until(self, holds: Callable[[Said], object], within: float) -> Said:
        """Wait until a status holds; fail with the last one and the end of the log."""
        assert self._reader is not None
        try:
            async with asyncio.timeout(within), self._news:
                while not (self.said and holds(self.said)):
                    if self._reader.done():
                        pytest.fail(f"the agent ended by itself\n{self.tail()}")
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(f"not within {within} s; last status {self.said}\n{self.tail()}")
        return self.said

    async def connected(self, within: float = 60) -> Said:
        return await self.until(lambda said: said["uplinks"] and said["uplinks"][0]["connected"], within)

    async def drained(self, within: float) -> Said:
        """Stop reading, and wait until nothing is owed."""
        self.signal(signal.SIGUSR1)
        pending = self.said.get("kept", 0)

        def nothing_owed(said: Said) -> bool:
            nonlocal pending
            still = said["kept"] != pending or said["waiting"]
            pending = said["kept"]
            return not still and all(not uplink["backlog"] for uplink in said["uplinks"])

        return await self.until(nothing_owed, within)

    async def all_read(self, within: float) -> None:
        """Wait until every device has read ``most`` times, and all of it is on disk."""

        def done(said: Said) -> bool:
            ends = [record.read_text("ascii").split()[-1:] for record in self.truth.iterdir()]
            begun = len(ends) == len(said["devices"])  # under load a status comes before the first reading
            return begun and not said["waiting"] and all(end == [str(self.most)] for end in ends)

        await self.until(done, within)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def reload(self, within: float = 60) -> str:
        """SIGHUP; return the line of the log that says what came of it."""
        before = len(self.reloads())
        self.signal(signal.SIGHUP)
        await self.until(lambda _: len(self.reloads()) > before, within)
        return self.reloads()[-1]

    def reloads(self) -> list[str]:
        return [line for line in self.lines() if " reloaded: " in line]

    async def kill(self) -> None:
        """SIGKILL, and note when."""
        assert self.process is not None
        self.process.kill()
        self.kills.append(time.monotonic_ns() // 1_000_000)
        await self._over()

    async def stop(self) -> int:
        """SIGTERM; return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return await self._over()

    async def _over(self) -> int:
        assert self.process is not None
        assert self._reader is not None
        async with asyncio.timeout(60):
            code = await self.process.wait()
            await self._reader
        self.process = None
        return code

    async def close(self) -> None:
        """Make sure that nothing of it is left."""
        if self.process is not None:
            await child.stop(self.process)
            assert self._reader is not None
            await self._reader
            self.process = None

    def lines(self, level: str = "") -> list[str]:
        """The log's lines of a level."""
        text = self.log.read_text("utf-8") if self.log.exists() else ""
        return [line for line in text.splitlines() if f" {level}" in line]

    def tail(self) -> str:
        return "\n".join(self.lines()[-15:])
