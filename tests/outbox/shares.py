"""What tests of several uplinks share: an outbox with selections, and what each uplink is owed of it."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Policy, Selection
from tests.outbox.world import EAST, NAMES, FakeClock, owed, policy, reading


@asynccontextmanager
async def opened(
    path: Path,
    clock: FakeClock,
    selections: Mapping[str, Selection],
    *,
    kept_by: Policy | None = None,
    devices: Collection[str] = ("d1", "d2"),
) -> AsyncIterator[Outbox]:
    outbox = await Outbox.open(path, EAST, kept_by or policy(), clock, list(selections), selections)
    try:
        for device in devices:
            await outbox.enroll(device, "hash", '{"channels":{"temperature":{},"humidity":{}}}', NAMES)
        yield outbox
    finally:
        await outbox.close()


async def keep(outbox: Outbox, count: int = 1, devices: Collection[str] = ("d1", "d2")) -> None:
    for number in range(count):
        for device in devices:
            outbox.keep(reading(device, number, outbox._clock.mono_ms()))
    assert await outbox.flush()


async def owed_by(outbox: Outbox, uplink: str) -> dict[str, list[int]]:
    """Numbers that an uplink is owed, as a restart would find them; the count must agree."""
    delivery = outbox.deliveries[uplink]
    found: dict[str, list[int]] = {}
    for row in await owed(delivery):
        found.setdefault(outbox.streams[row.stream].device, []).append(row.seq)
    assert delivery.backlog == sum(map(len, found.values()))
    return found


def settle(outbox: Outbox, uplink: str, device: str, first: int, last: int) -> None:
    outbox.deliveries[uplink].settle(stream(outbox, device), first, last)


def stream(outbox: Outbox, device: str) -> int:
    return next(id_ for id_, of in outbox.streams.items() if of.device == device and of.epoch == outbox.epoch)
