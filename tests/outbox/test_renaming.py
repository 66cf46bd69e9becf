"""Another name for a gateway: only when all is sent under the old one; then in an epoch of its own."""

import os
from pathlib import Path

import pytest

from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity
from edge_agent.outbox.renaming import rename
from edge_agent.outbox.store import OutboxError
from tests.outbox.world import EAST, NAMES, FakeClock, ask, opened, policy, reading

WEST = Identity("west-park", "gw-02")


async def _kept(path: Path, clock: FakeClock, *, settled: bool) -> str:
    async with opened(path, clock) as outbox:
        for number in range(3):
            outbox.keep(reading("d1", number))
        await outbox.flush()
        if settled:
            city = outbox.deliveries["city"]
            (stream,) = [stream for stream in outbox.streams.values() if stream.device == "d1"]
            city.settle(stream.id, 1, 3)
        return outbox.epoch


async def test_what_is_owed_keeps_its_name(tmp_path: Path) -> None:
    path, clock = tmp_path / "outbox.db", FakeClock()
    epoch = await _kept(path, clock, settled=False)
    owed = await rename(path, EAST, WEST, clock)
    assert (owed.nothing, owed.readings) == (False, {"city": 3})
    async with opened(path, clock) as outbox:
        assert outbox.epoch == epoch
        assert outbox.deliveries["city"].backlog == 3, "it is not parked by that"


async def test_new_numbers_in_a_new_epoch(tmp_path: Path) -> None:
    path, clock = tmp_path / "outbox.db", FakeClock()
    epoch = await _kept(path, clock, settled=True)
    for _ in range(2):  # done again, it changes nothing
        assert (await rename(path, EAST, WEST, clock)).nothing
    with pytest.raises(OutboxError, match="west-park"):
        await Outbox.open(path, EAST, policy(), clock, ["city"])
    outbox = await Outbox.open(path, WEST, policy(), clock, ["city"])
    try:
        await outbox.enroll("d1", "hash", '{"channels":{}}', NAMES)
        assert outbox.last_seq("d1") == 0
        assert outbox.deliveries["city"].backlog == 0
    finally:
        await outbox.close()
    assert ask(path, "SELECT name, site, gateway, origin FROM epoch ORDER BY id") == [
        (epoch, *EAST, "created"),
        (outbox.epoch, *WEST, "renamed"),
    ]


async def test_an_outbox_in_use_is_left_alone(tmp_path: Path) -> None:
    path, clock = tmp_path / "outbox.db", FakeClock()
    async with opened(path, clock):
        with pytest.raises(OutboxError, match="another agent"):
            await rename(path, EAST, WEST, clock)


async def test_without_an_outbox_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert (await rename(tmp_path / "outbox.db", EAST, WEST, FakeClock())).nothing
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - plain names
