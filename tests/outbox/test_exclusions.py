"""Several uplinks, each with its own devices: what is not for one is neither owed nor counted for it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.outbox import store, witness
from edge_agent.outbox.exclusions import Exclusions
from edge_agent.outbox.policy import Selection
from edge_agent.row import Declared, Row, Stream
from tests.outbox.shares import keep, opened, owed_by, settle, stream
from tests.outbox.world import EAST, FakeClock, ask, crash, policy, reading, rows_of

ALL = Selection()
ONLY_D1 = Selection({"d1"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def test_what_is_not_selected_is_neither_owed_nor_heard_of(path: Path) -> None:
    async with opened(path, FakeClock(), {"city": ONLY_D1, "park": ALL}) as outbox:
        city = outbox.deliveries["city"]
        heard: list[Row] = []
        city.on_kept = lambda runs, _: heard.extend(rows_of(runs))
        city.low_water = lambda: 1
        await keep(outbox, 3)
        assert await owed_by(outbox, "city") == {"d1": [1, 2, 3]}
        assert await owed_by(outbox, "park") == {"d1": [1, 2, 3], "d2": [1, 2, 3]}
        assert [row.seq for row in heard] == [1, 2, 3]
        assert {row.stream for row in heard} == {stream(outbox, "d1")}
        settle(outbox, "city", "d1", 1, 3)
        assert (city.backlog, city.acknowledged) == (0, 3)
        city.on_kept = city.low_water = None
    async with opened(path, FakeClock(), {"city": ONLY_D1, "park": ALL}) as outbox:
        assert await owed_by(outbox, "city") == {}
        assert outbox.deliveries["city"].acknowledged == 3
        assert await owed_by(outbox, "park") == {"d1": [1, 2, 3], "d2": [1, 2, 3]}
        assert outbox.deliveries["park"].acknowledged == 0


@pytest.mark.parametrize("marks", [False, True])
async def test_a_crash_brings_nothing_unwanted_back(path: Path, tmp_path: Path, marks: bool) -> None:  # noqa: FBT001 - a parameter
    clock = FakeClock()
    async with opened(path, clock, {"city": ONLY_D1}) as outbox:
        for _ in range(3):
            if marks:
                clock.wait(20_000)
            await keep(outbox, 2)
        left = crash(path, tmp_path / "left")
    async with opened(left, clock, {"city": ONLY_D1}) as outbox:
        assert await owed_by(outbox, "city") == {"d1": [1, 2, 3, 4, 5, 6]}
        await keep(outbox)
        assert await owed_by(outbox, "city") == {"d1": [1, 2, 3, 4, 5, 6, 7]}


async def test_the_filter_may_change_after_a_crash(path: Path, tmp_path: Path) -> None:
    """What counts is whether the device was on the uplink when it was kept."""
    clock = FakeClock()
    async with opened(path, clock, {"city": ONLY_D1}) as outbox:
        await keep(outbox, 2)
        left = crash(path, tmp_path / "left")
    async with opened(left, clock, {"city": Selection({"d2"})}) as outbox:
        await keep(outbox, 2)
        assert await owed_by(outbox, "city") == {"d1": [1, 2], "d2": [3, 4]}


async def test_debts_are_paid_though_the_device_is_deselected_and_later_it_begins_anew(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, {"city": ALL}) as outbox:
        await keep(outbox, 3)
    async with opened(path, clock, {"city": ONLY_D1}) as outbox:
        await keep(outbox, 2)
        assert await owed_by(outbox, "city") == {"d1": [1, 2, 3, 4, 5], "d2": [1, 2, 3]}
        d2 = stream(outbox, "d2")
        settle(outbox, "city", "d2", 1, 2)
        assert outbox.deliveries["city"].settled(d2) == 2
    async with opened(path, clock, {"city": ALL}) as outbox:
        await keep(outbox)
        assert (await owed_by(outbox, "city"))["d2"] == [3, 6]
        settle(outbox, "city", "d2", 6, 6)
        settle(outbox, "city", "d2", 3, 3)
        assert outbox.deliveries["city"].settled(d2) == 6
        assert outbox.deliveries["city"].acknowledged == 4


async def test_an_uplink_that_is_owed_nothing_does_not_hold_the_log(path: Path) -> None:
    """Not even while it is not connected: retention may pass what was never for it."""
    async with opened(path, FakeClock(), {"city": Selection(set()), "park": ONLY_D1}) as outbox:
        await keep(outbox, 2)
        await keep(outbox, 2)
        assert outbox.deliveries["city"].scan_from == outbox.last_id + 1
        assert outbox.deliveries["park"].scan_from == 1


def test_what_was_apart_is_known_for_good() -> None:
    """Also once the device is back: nothing of that time is ever sent, not even again."""
    of = Stream(7, "k7f2", "d1", 5)
    apart = Exclusions([(7, 1, 2), (7, 4, None), (8, 1, None)])
    assert [seq for seq in range(1, 9) if apart.covers(7, seq)] == [1, 2, 4, 5, 6, 7, 8]
    of.next_seq = 7
    assert list(apart.runs(of)) == [(1, 2), (4, 6)]
    apart = Exclusions([(7, 1, 2), (7, 4, 6), (8, 1, None)])
    assert list(apart.runs(of)) == [(1, 2), (4, 6)]
    assert [seq for seq in range(1, 9) if apart.covers(7, seq)] == [1, 2, 4, 5, 6]
    assert apart.open_from == {8: 1}


async def test_a_loss_before_keeping_is_told_to_whom_it_concerns(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, {"city": ONLY_D1, "park": ALL}, kept_by=policy(memory=1)) as outbox:
        heard: dict[str, list[Declared]] = {}
        for name, delivery in outbox.deliveries.items():
            delivery.on_kept = lambda _, declared, name=name: heard.setdefault(name, []).extend(declared)
        outbox.keep(reading("d2", 1))
        await keep(outbox, devices=["d2"])
        assert [(loss.from_seq, loss.to_seq) for loss in heard.pop("park")] == [(1, 1)]
        assert heard == {}
        assert await outbox.deliveries["city"].open_losses() == []
        assert outbox.deliveries["city"].settled(stream(outbox, "d2")) == 2
        for delivery in outbox.deliveries.values():
            delivery.on_kept = None


async def test_an_uplink_that_is_new_begins_now(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, {"park": ALL}) as outbox:
        await keep(outbox, 3)
    async with opened(path, clock, {"park": ALL, "city": ALL}) as outbox:
        assert await owed_by(outbox, "city") == {}
        await keep(outbox)
        assert await owed_by(outbox, "city") == {"d1": [4], "d2": [4]}
        settle(outbox, "city", "d1", 4, 4)
        assert outbox.deliveries["city"].settled(stream(outbox, "d1")) == 4
        assert outbox.deliveries["city"].acknowledged == 1
        assert await owed_by(outbox, "park") == {"d1": [1, 2, 3, 4], "d2": [1, 2, 3, 4]}


async def test_an_uplink_that_begins_with_the_oldest_gets_all_that_is_kept(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, {"park": ALL}, kept_by=policy(memory=1)) as outbox:
        await keep(outbox, devices=["d1"])
        await keep(outbox, 2, devices=["d1"])  # the first of the two overflows
        await keep(outbox, devices=["d2"])
        for device, last in (("d1", 3), ("d2", 1)):
            settle(outbox, "park", device, 1, last)
    assert ask(path, "SELECT from_seq, to_seq FROM loss") == [(2, 2)]
    oldest = {"city": Selection(begin="oldest"), "some": Selection({"d2"}, "oldest")}
    async with opened(path, clock, {"park": ALL, **oldest}) as outbox:
        assert await owed_by(outbox, "city") == {"d1": [1, 3], "d2": [1]}
        assert await owed_by(outbox, "some") == {"d2": [1]}
        (loss,) = await outbox.deliveries["city"].open_losses()
        assert await outbox.deliveries["some"].open_losses() == []
        outbox.deliveries["city"].settle_loss(loss)
        settle(outbox, "city", "d1", 1, 1)
        settle(outbox, "city", "d1", 3, 3)
        assert outbox.deliveries["city"].settled(stream(outbox, "d1")) == 3
    async with opened(path, clock, {"park": ALL, **oldest}) as outbox:  # it is new only once
        assert await owed_by(outbox, "city") == {"d2": [1]}


async def test_the_oldest_that_is_kept_may_not_be_the_first(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, {"park": ALL}) as outbox:
        await keep(outbox, 4)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM log WHERE seq < 3")
    async with opened(path, clock, {"park": ALL, "city": Selection(begin="oldest")}) as outbox:
        assert await owed_by(outbox, "city") == {"d1": [3, 4], "d2": [3, 4]}
        assert outbox.deliveries["city"].settled(stream(outbox, "d1")) == 2


async def test_an_uplink_that_is_gone_for_a_while_gets_everything(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, {"park": ALL, "city": ALL}) as outbox:
        await keep(outbox, 2)
    async with opened(path, clock, {"park": ALL}, devices=["d1", "d2", "d3"]) as outbox:
        await keep(outbox, devices=["d1", "d2", "d3"])
    async with opened(path, clock, {"park": ALL, "city": ONLY_D1}, devices=["d1", "d2", "d3"]) as outbox:
        await keep(outbox, devices=["d1", "d2", "d3"])
        assert await owed_by(outbox, "city") == {"d1": [1, 2, 3, 4], "d2": [1, 2, 3], "d3": [1]}


async def test_a_device_first_seen_while_a_choosy_uplink_is_gone_is_not_on_it(path: Path) -> None:
    clock = FakeClock()
    async with opened(path, clock, {"park": ALL, "city": ONLY_D1}) as outbox:
        await keep(outbox)
    async with opened(path, clock, {"park": ALL}, devices=["d1", "d3"]) as outbox:
        await keep(outbox, devices=["d1", "d3"])
    async with opened(path, clock, {"park": ALL, "city": ALL}, devices=["d1", "d2", "d3"]) as outbox:
        await keep(outbox, devices=["d1", "d2", "d3"])
        assert await owed_by(outbox, "city") == {"d1": [1, 2, 3], "d2": [2], "d3": [2]}


async def test_an_uplink_that_is_gone_for_good_is_given_up(path: Path) -> None:
    clock, kept_by = FakeClock(), policy(replay=60)
    async with opened(path, clock, {"park": ALL, "city": ALL}, kept_by=kept_by) as outbox:
        await keep(outbox, 3000)
        settle(outbox, "city", "d1", 1, 1000)
        for device in ("d1", "d2"):
            settle(outbox, "park", device, 1, 3000)
    first = ask(path, "SELECT min(id) FROM log")
    clock.wait(50_000)
    async with opened(path, clock, {"park": ALL}, kept_by=kept_by) as outbox:
        park = outbox.deliveries["park"]
        park.low_water = lambda: park.last_id + 1  # as when all of it was acknowledged
        for _ in range(5):
            clock.wait(11_000)
            await keep(outbox)
        assert outbox.lost == 0
        assert ask(path, "SELECT min(id) FROM log") == first, "it is still owed what is older than the window"
        clock.wait(11_000)
        await keep(outbox)
        assert outbox.lost == 2006 + 3006
        clock.wait(11_000)
        await keep(outbox)
    assert ask(path, "SELECT min(id) FROM log") > first
    losses = ask(path, "SELECT from_seq, to_seq, readings FROM loss WHERE reason = 'removed' ORDER BY stream")
    assert losses == [(1001, 3006, 2006), (1, 3006, 3006)]
    async with opened(path, clock, {"park": ALL, "city": ALL}, kept_by=kept_by) as outbox:
        city = outbox.deliveries["city"]
        assert await owed_by(outbox, "city") == {}
        await keep(outbox)
        assert await owed_by(outbox, "city") == {"d1": [3008], "d2": [3008]}
        assert city.settled(stream(outbox, "d2")) == 0
        for loss in await city.open_losses():
            city.settle_loss(loss)
        assert city.settled(stream(outbox, "d2")) == 3007
        assert outbox.lost == 2006 + 3006


@pytest.mark.parametrize("forgotten", [False, True])
async def test_salvage_brings_nothing_unwanted_back(path: Path, forgotten: bool) -> None:  # noqa: FBT001 - a parameter
    """Also where it is not known any more which uplinks there were, and what they had."""
    selections = {"city": ONLY_D1, "park": ALL}
    async with opened(path, FakeClock(), selections) as outbox:
        await keep(outbox, 3)
        settle(outbox, "park", "d1", 1, 1)
    if forgotten:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            for table in ("uplink", "delivery", "apart"):
                db.execute(f"DELETE FROM {table}")
    beside = witness.Witness(store.lock(path))
    beside.write(witness.Testimony(1, 7, "damaged", outbox.epoch, *EAST))
    beside.close()
    async with opened(path, FakeClock(), selections) as outbox:
        await keep(outbox)
        assert await owed_by(outbox, "city") == {"d1": [1, 2, 3, 1]}
        assert (await owed_by(outbox, "park"))["d1"] == ([1, 2, 3, 1] if forgotten else [2, 3, 1])
        assert (await owed_by(outbox, "park"))["d2"] == [1, 2, 3, 1]
        told = {
            name: sorted(outbox.streams[loss.stream].device for loss in await delivery.open_losses())
            for name, delivery in outbox.deliveries.items()
        }
        assert told == {"city": ["d1"], "park": ["d1", "d2"]}


async def test_a_device_that_goes_may_be_asked_about_until_it_is_gone(path: Path) -> None:
    """A status that was asked for in the middle of a reload found a device that the outbox did not know."""
    clock = FakeClock()
    async with opened(path, clock, {"city": Selection()}) as outbox:
        await keep(outbox, 3)
        both = {"city": Selection(), "park": Selection(begin="oldest")}
        stays = next(one for one in outbox._writer.roster.devices if one.device == "d1")
        change = asyncio.create_task(outbox.change(policy(), both, [stays]))
        while not change.done():
            assert outbox.last_seq("d2") == 3
            await asyncio.sleep(0)
        await change
        assert await owed_by(outbox, "park") == {"d1": [1, 2, 3], "d2": [1, 2, 3]}
