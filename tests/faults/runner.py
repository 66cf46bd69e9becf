"""An agent in a process of its own whose devices read at any rate, and leave a record of what they read.

``python runner.py SPEC`` with a JSON file:

``configs``: configuration files, one agent each. ``truth``: a folder for the record. ``rate``: readings a
second and device; 0 for as fast as the outbox takes them. ``most``: where a device's count ends.
``clock``: None for the machine's, or a simulated one (below).

Only asking over a line is replaced (``collect.tasks.ask``), because a serial line carries a few readings
a second and a slave cannot say what it was asked before a SIGKILL. All that comes after a device's samples,
from ``Device.heard`` on, is the program's own. The n-th reading of a device says n; before it is handed on,
its number is written to the record, so that whatever a kill leaves behind, nothing above it was
ever read.

SIGUSR1 stops the devices, SIGUSR2 lets them go on; SIGHUP reloads, as at the service. What ``Agent.status``
says goes to stdout, a line of JSON each 100 ms.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_agent.agent.agent import Agent
from edge_agent.clock import Clock
from edge_agent.collect import tasks
from edge_agent.collect.device import Device
from edge_agent.driver import Sample
from edge_agent.outbox.store import DamagedError, ReadOnlyError
from edge_agent.service import reload_when
from edge_agent.settings import source as files
from edge_agent.settings.load import load

_TICK_S = 0.02
_STATUS_S = 0.1
_MOST_A_TICK = 1000
_MOST_OF_A_CLOCK = 20  # where each moves the clock: or a pause of this process is one of its hours
_MOST_WAITING = 8000


class SimulatedClock:
    """A clock that moves only when a reading is made, by ``step_ms``, and jumps as ``jumps`` says.

    ``jumps``: lists of (at reading n, new wall time in ms or None, trusted).
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.boot_id = spec["boot"]
        self._mono, self._step = int(spec["mono_ms"]), int(spec["step_ms"])
        self._offset, self._trusted = int(spec["wall_ms"]) - self._mono, bool(spec["trusted"])
        self._jumps = {at: (wall, trust) for at, wall, trust in spec["jumps"]}

    def mono_ms(self) -> int:
        return self._mono

    def wall_ms(self) -> int:
        return self._mono + self._offset

    def trusted(self) -> bool:
        return self._trusted

    def read(self, n: int) -> None:
        self._mono += self._step
        if n in self._jumps:
            wall, self._trusted = self._jumps.pop(n)
            if wall is not None:
                self._offset = wall - self._mono


class Source:
    """What the devices of all agents here read."""

    def __init__(self, spec: dict[str, Any], clock: SimulatedClock | None) -> None:
        self.going = asyncio.Event()
        self.going.set()
        self.agents: list[Agent] = []
        self._rate, self._most = spec["rate"], spec["most"] or sys.maxsize
        self._truth, self._clock = Path(spec["truth"]), clock

    def _waiting(self) -> int:
        return max((agent.status().waiting for agent in self.agents), default=0)

    async def ask(self, device: Device, *_line: object) -> None:
        """Stand in for ``tasks.ask``."""
        record = self._truth / device.id
        record.touch()
        last = int((record.read_text("ascii").split() or ["0"])[-1])
        descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        start, done = time.monotonic(), 0
        try:
            while last < self._most:
                await self.going.wait()
                if self._rate:
                    target = int((time.monotonic() - start) * self._rate)
                    due, done = target - done, target  # what a pause left out stays left out
                else:
                    due = _MOST_A_TICK if self._waiting() < _MOST_WAITING else 0
                due = min(due, _MOST_A_TICK, self._most - last)
                if self._rate and self._clock is not None:
                    due = min(due, _MOST_OF_A_CLOCK)
                if due > 0:
                    os.write(descriptor, f"{time.monotonic_ns() // 1_000_000} {last + due}\n".encode())
                    for n in range(last + 1, last + due + 1):
                        if self._clock is not None:
                            self._clock.read(n)
                        device.heard([Sample("temperature", n), Sample("humidity", n * 7 % 101)])
                    last += due
                await asyncio.sleep(_TICK_S if self._rate else 0)
        finally:
            os.close(descriptor)
        await asyncio.Event().wait()


async def _tell(agents: list[Agent]) -> None:
    while True:
        for agent in agents:
            line = json.dumps(asdict(agent.status()), default=str).encode() + b"\n"
            with suppress(BlockingIOError):  # a status that nobody reads in time is left out
                os.write(1, line)
        await asyncio.sleep(_STATUS_S)


async def _live(agents: list[Agent], at: int) -> None:
    """Run an agent, and its successor when it fell with its outbox, as the service does."""
    while True:
        try:
            return await agents[at].run()
        except BaseExceptionGroup as group:
            if group.split((DamagedError, ReadOnlyError))[1] is not None:
                raise
        agents[at] = agents[at].successor()


async def _main(spec: dict[str, Any]) -> None:
    clock = SimulatedClock(spec["clock"]) if spec["clock"] else None
    source = Source(spec, clock)
    tasks.ask = source.ask  # type: ignore[assignment]  # see above
    given: Clock | None = clock
    configs = [load(Path(name)) for name in spec["configs"]]
    logging.basicConfig(
        level=configs[0].log.level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    agents = source.agents = [
        Agent(config, clock=given, source=files.Source(Path(name)))
        for config, name in zip(configs, spec["configs"], strict=True)
    ]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for agent in agents:
            agent.stop()

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGUSR1, source.going.clear)
    loop.add_signal_handler(signal.SIGUSR2, source.going.set)
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    reloading = asyncio.create_task(reload_when(hung_up, agents[0]), name="reload")
    telling = asyncio.create_task(_tell(agents), name="status")
    try:
        await asyncio.gather(*(_live(agents, at) for at in range(len(agents))))
    finally:
        telling.cancel()
        reloading.cancel()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
