"""A flipped bit in a small table is noticed, and is neither a wrong time nor a lost declaration."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Selection
from tests.outbox.shares import keep, opened, owed_by, settle
from tests.outbox.world import NOW_MS, FakeClock, lost, policy

SELECTIONS = {"city": Selection(), "park": Selection(frozenset({"d1"}))}
FLIPS = {
    "boot": "UPDATE boot SET ran_ms = ran_ms + (1 << 40)",
    "clock": "UPDATE clock SET offset_ms = offset_ms + (1 << 35)",
    "apart": "UPDATE apart SET from_seq = from_seq + 2",
    "loss": "UPDATE loss SET from_seq = from_seq + 4",
    "its reason": "UPDATE loss SET reason = 'capacity'",
    "loss_owed": "UPDATE loss_owed SET uplink = uplink + 8",
    "again": "UPDATE again SET to_id = to_id + 16",
    "meta": "UPDATE meta SET body = replace(body, 'e', 'd')",
    "epoch": "UPDATE epoch SET name = 'zzzzzz'",
    "uplink": "UPDATE uplink SET parked = -1",
}


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Make a row in every small table. Of d1 3 readings are lost and 17 kept, 3 sent without a time."""
    file, clock = tmp_path / "outbox.db", FakeClock(trust=False)
    async with opened(file, clock, SELECTIONS, kept_by=policy(memory=17), devices=("d1",)) as outbox:
        await keep(outbox, 20, devices=("d1",))
        city = outbox.deliveries["city"]
        city.repairs.owe(await city.log.read(1, 3, 9))
        settle(outbox, "city", "d1", 4, 6)
    clock.trust = True
    async with opened(file, clock, SELECTIONS, devices=("d1", "d2")) as outbox:
        await keep(outbox, 1, devices=("d2",))
    return file


async def _declared(outbox: Outbox, uplink: str) -> set[tuple[str, int]]:
    losses = [
        loss._replace(to_seq=20) if loss.to_seq is None else loss
        for loss in await outbox.deliveries[uplink].open_losses()
    ]
    return {("d1", seq) for of, seq in lost(losses) if outbox.streams[of].device == "d1"}


@pytest.mark.parametrize("flip", FLIPS)
async def test_a_flipped_bit_is_noticed(flip: str, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute(FLIPS[flip]).rowcount, "there is nothing to flip"
    async with opened(path, FakeClock(boot_id="boot-2"), SELECTIONS) as outbox:
        assert path.with_name("outbox.db.damaged").exists()
        for uplink in SELECTIONS:
            named = {("d1", seq) for seq in (1, 2, 3)}
            owed = {("d1", seq) for seq in (await owed_by(outbox, uplink)).get("d1", ())}
            acknowledged = {("d1", seq) for seq in (4, 5, 6)} if uplink == "city" else set()
            declared = await _declared(outbox, uplink)
            assert named <= declared
            assert {("d1", seq) for seq in range(1, 21)} <= owed | declared | acknowledged
            assert flip in {"meta", "loss"} or declared == named, "it is there"
        rows = await outbox.deliveries["city"].log.read(1, outbox.last_id, 99)
        times = {outbox.timeline.moment(row.boot, row.mono_ms) for row in rows}
        assert all(when.clock or when.ts == NOW_MS for when in times), times
