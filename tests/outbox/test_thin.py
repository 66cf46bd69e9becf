"""A backlog that is thinned out stays even over its time, and takes few messages and few ranges."""

from itertools import pairwise
from pathlib import Path

import pytest

from edge_agent.outbox.policy import Care
from edge_agent.row import runs
from edge_agent.uplink.lane import Lane
from tests.outbox.test_capacity import accounts, full
from tests.outbox.world import FakeClock, ask, open_outbox, owed

_THIN = {"a": Care("normal", "thin")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def test_what_is_left_is_spread_over_the_whole_time(path: Path) -> None:
    outbox = await full(path, FakeClock(), _THIN, many=12_000)
    try:
        due, lost = (await accounts(outbox, outbox.deliveries["park"], path))["a"]
    finally:
        await outbox.close()
    kept = sorted(due)
    steps = [after - seq for seq, after in pairwise(kept)]
    assert len(due) + len(lost) == 12_000
    assert kept[0] <= 64
    assert max(steps) <= 64
    assert steps == sorted(steps, reverse=True), "a later reading is thinner than an earlier one"
    met = {step for step in steps if steps.count(step) > 1}  # where two parts meet it may be any
    assert met <= {1, 2, 4, 8, 16, 32, 64}
    assert ask(path, "SELECT count(*) <= 12 FROM loss") == [(1,)]


async def test_another_run_does_not_thin_again_what_is_thinned_enough(path: Path) -> None:
    clock = FakeClock()
    outbox = await full(path, clock, _THIN, many=6_000)
    before = (await accounts(outbox, outbox.deliveries["park"], path))["a"]
    for run in range(5):
        await outbox.close()
        outbox = await full(path, clock, _THIN, many=10)
        due, lost = (await accounts(outbox, outbox.deliveries["park"], path))["a"]
        assert len(due) + len(lost) == 6_000 + 10 * (run + 1)
    await outbox.close()
    assert due - before[0] == set(range(6_001, 6_051))


async def test_a_thinned_backlog_goes_in_large_messages_and_settles_in_one_range(path: Path) -> None:
    outbox = await full(path, FakeClock(), _THIN, many=6_000)
    park = outbox.deliveries["park"]
    try:
        rows = await owed(park)
        lane = Lane({}, park.owes_any)
        lane.add(runs(rows))
        for loss in await park.open_losses():
            park.settle_loss(loss)
        messages = 0
        while lane.waiting:
            run = lane.take(10**6)
            park.settle(run.stream, run.first, run.last)
            messages += 1
        assert messages <= len(rows) // 1_000 + 1
        assert park.backlog == 0
        assert park.settled(1) == 6_000
    finally:
        await outbox.close()


async def test_the_gaps_of_a_thinned_backlog_are_not_declared_again_when_it_is_salvaged(path: Path) -> None:
    clock = FakeClock()
    outbox = await full(path, clock, _THIN, many=6_000)
    before, gone = (await accounts(outbox, outbox.deliveries["park"], path))["a"]
    entries = len(await outbox.deliveries["park"].open_losses())
    await outbox.close()
    witness = path.with_name("outbox.db.witness")
    witness.write_text(witness.read_text("utf-8").replace("closed ", "damaged"), "utf-8")
    outbox = await open_outbox(path, clock, ("city", "park"), devices=())
    try:
        park = outbox.deliveries["park"]
        assert {row.seq for row in await owed(park)} == before
        losses = await park.open_losses()
        assert len(losses) <= entries + 7  # some where two entries meet, and the end of the epoch
        assert {seq for seq in range(1, 6_001) if not park.owes(1, seq)} == gone
        for loss in losses:
            park.settle_loss(loss)
        for row in await owed(park):
            park.settle(row.stream, row.seq, row.seq)
        assert park.settled(1) == 6_000
    finally:
        await outbox.close()


async def test_half_of_a_thinned_backlog_is_sent_and_the_rest_after_a_restart(path: Path) -> None:
    clock = FakeClock()
    outbox = await full(path, clock, _THIN, many=6_000)
    park = outbox.deliveries["park"]
    rows = await owed(park)
    for loss in await park.open_losses():
        park.settle_loss(loss)
    for row in rows[1::2]:
        park.settle(row.stream, row.seq, row.seq)
    park.rewind()
    await outbox.close()
    outbox = await open_outbox(path, clock, ("city", "park"), devices=())
    park = outbox.deliveries["park"]
    try:
        again = await owed(park)
        assert {row.seq for row in again} >= {row.seq for row in rows[::2]}
        assert park.backlog == len(again)
        for row in again:
            park.settle(row.stream, row.seq, row.seq)
        assert park.settled(1) == 6_000
    finally:
        await outbox.close()
