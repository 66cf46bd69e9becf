"""What most scenarios stand on: a broker, a link to it, a witness behind it, and gateways before it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import broker as brokers
from tests.faults.gateway import Gateway, config
from tests.faults.proxy import Proxy
from tests.faults.store import stored
from tests.faults.witness import Counts, Witness, judge, watching

Record = Callable[..., None]
WINDOW_MS = 100
_DEADLINE = 30  # times the promise: a commit waits for the disk of a busy machine


@dataclass
class Gateways:
    """Makes gateways in a folder, and sees that none outlives the test."""

    folder: Path
    made: list[Gateway] = field(default_factory=list)

    def gateway(self, port: int, rate: float = 50, most: int | None = None, **lines: Any) -> Gateway:
        """Make one: readings a second and device, where the devices end, lines of its configuration."""
        folder = self.folder / f"gateway-{len(self.made)}"
        folder.mkdir()
        outbox = lines.pop("outbox", folder / "outbox.db")
        file = config(folder, port, outbox=outbox, **lines)
        self.made.append(Gateway(folder, [file], outbox, rate, most))
        return self.made[-1]

    async def close(self) -> None:
        for gateway in self.made:
            await gateway.close()


@dataclass
class Rig(Gateways):
    """All of it. ``broker`` may be taken away, ``link`` made bad."""

    broker: brokers.Broker = field(kw_only=True)
    link: Proxy = field(kw_only=True)
    witness: Witness = field(kw_only=True)

    async def backlog(self, readings: int, **lines: Any) -> Gateway:
        """Make a gateway that kept so many readings, of two devices, while nothing listened, and ended."""
        await self.link.refuse()
        gateway = self.gateway(self.link.port, rate=0, most=readings // 2, **lines)
        await gateway.start()
        await gateway.until(lambda said: said["kept"] >= readings, 120)
        assert await gateway.stop() == 0
        await self.link.listen()
        return gateway

    async def reload(self) -> None:
        """Have the broker read its ACL again. Gateways come back after the witness.

        With an ACL, a mosquitto 2.0.11 that was restarted acknowledges what comes for a session in its file,
        and forgets it, until that client itself is back.
        """
        await self.link.refuse()
        before = self.witness.subscribed
        await self.broker.reload()
        assert await asyncio.to_thread(self.witness.wait, lambda heard: heard.subscribed > before, 60)
        await self.link.listen()

    async def finish(self, gateway: Gateway, within: float = 100, window_ms: int = WINDOW_MS) -> Counts:
        """End a scenario: nothing owed, a clean stop, everything heard; then judge."""
        await gateway.connected(within)
        await gateway.drained(within)
        assert await gateway.stop() == 0, gateway.tail()
        return await self.judged(gateway, window_ms)

    async def judged(self, gateway: Gateway, window_ms: int = WINDOW_MS) -> Counts:
        """Wait until what the broker was given has been heard, and judge."""
        kept = stored(gateway.outbox)
        declared = sum(
            max(0, (kept.tops[key] if last is None else last) - first + 1)
            for key, first, last, _ in kept.losses
        )
        owed = sum(kept.tops.values()) - declared
        await asyncio.to_thread(self.witness.wait, lambda heard: heard.distinct >= owed, 60)
        return judge(self.witness, kept, gateway.truth, gateway.kills, window_ms * _DEADLINE)


@asynccontextmanager
async def standing(folder: Path, **settings: Any) -> AsyncIterator[Rig]:
    """Set everything up in a folder; ``settings`` are the broker's."""
    async with brokers.running(folder / "broker", **settings) as served, Proxy(served.port) as link:
        with watching(served.port) as witness:
            rig = Rig(folder, broker=served, link=link, witness=witness)
            try:
                yield rig
            finally:
                await rig.close()


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
