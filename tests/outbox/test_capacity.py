"""A full outbox gives up by class and policy; per uplink every number is owed, settled or in the ledger."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_agent.event import Event
from edge_agent.outbox import eviction, queries, transactions
from edge_agent.outbox.batch import Batch
from edge_agent.outbox.delivery import Delivery
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Care
from edge_agent.row import EVENT_META, Declared, Run
from tests.outbox.world import NAMES, FakeClock, ask, crash, open_outbox, opened, owed, policy, reading

_CAP = 122_000  # bytes: about 2,500 readings
_MANY = 4_000  # readings of each device


async def full(path: Path, clock: FakeClock, cares: dict[str, Care], *, many: int = _MANY) -> Outbox:
    """Fill an outbox: "city" takes everything at once, "park" hears of nothing."""
    outbox = await open_outbox(path, clock, ("city", "park"), kept_by=policy(max_size=_CAP), devices=())
    for device, care in cares.items():
        await outbox.enroll(device, "hash", '{"channels":{"temperature":{},"humidity":{}}}', NAMES, care)
    city = outbox.deliveries["city"]

    def take(runs: Sequence[Run], losses: Sequence[Declared]) -> None:
        for run in runs:
            city.settle(run.stream, run.first, run.last)
        for loss in losses:
            city.settle_loss(loss)

    city.on_kept = take
    for number in range(1, many + 1):
        for device in cares:
            outbox.keep(reading(device, number))
        if not number % 100:
            clock.wait(10_000)  # marks are due
            assert await outbox.flush()
    assert await outbox.flush()
    return outbox


async def accounts(outbox: Outbox, delivery: Delivery, path: Path) -> dict[str, tuple[set[int], set[int]]]:
    """Return what is owed and what is in the ledger, by device; each number is in one place only."""
    rows = {(row.stream, row.seq) for row in await owed(delivery)}
    found = {}
    for stream in outbox.streams.values():
        all_ = range(1, stream.next_seq)
        due = {seq for seq in all_ if delivery.owes(stream.id, seq)}
        assert due == {seq for of, seq in rows if of == stream.id}
        entries = ask(
            path,
            "SELECT from_seq, to_seq, every, readings FROM loss JOIN loss_owed ON loss = id"
            " WHERE stream = ? AND uplink = ?",
            stream.id,
            delivery.uplink,
        )
        lost: set[int] = set()
        for first, last, every, readings in entries:
            mine = {seq for seq in range(first, last + 1) if not every or seq % every} - lost - due
            lost |= mine
            assert readings <= last - first + 1
        assert sum(readings for *_, readings in entries) == len(lost)
        settled = set(all_) - due - lost
        assert delivery.backlog >= len(due)
        assert not settled or delivery.uplink == outbox.deliveries["city"].uplink
        found[stream.device] = due, lost
    assert delivery.backlog == sum(len(due) for due, _ in found.values())
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def test_bulk_goes_before_normal_and_normal_before_critical(path: Path) -> None:
    cares = {"door": Care("critical"), "meter": Care(), "radar": Care("bulk")}
    clock = FakeClock()
    outbox = await full(path, clock, {"radar": cares["radar"], "meter": cares["meter"]}, many=3_000)
    await outbox.close()
    outbox = await full(path, clock, cares, many=800)
    try:
        found = await accounts(outbox, outbox.deliveries["park"], path)
    finally:
        await outbox.close()
    assert not found["door"][1]
    assert found["meter"][0]
    assert found["radar"][1]
    newest_given_up = max(found["radar"][1])
    assert newest_given_up > 2_500  # nearly all of it went before the first of the meter


async def test_the_oldest_go_and_the_newest_stay(path: Path) -> None:
    outbox = await full(path, FakeClock(), {"a": Care(), "b": Care()})
    try:
        found = await accounts(outbox, outbox.deliveries["park"], path)
        assert await owed(outbox.deliveries["city"]) == []
        assert outbox.lost == sum(len(lost) for _, lost in found.values())
    finally:
        await outbox.close()
    for due, lost in found.values():
        assert lost == set(range(1, min(due)))
        assert max(due) == _MANY
    assert ask(path, "SELECT count(*) FROM loss") == [(2,)]  # one that grew for each device
    assert ask(path, "SELECT lost FROM outbox") == [(sum(len(lost) for _, lost in found.values()),)]
    assert ask(
        path, "SELECT page_count * page_size < ? FROM pragma_page_count, pragma_page_size", 3 * _CAP
    ) == [(1,)]


async def test_a_device_that_refuses_keeps_its_oldest_and_gives_up_its_newest(path: Path) -> None:
    outbox = await full(path, FakeClock(), {"a": Care("normal", "refuse")})
    try:
        due, lost = (await accounts(outbox, outbox.deliveries["park"], path))["a"]
        assert outbox.kept + outbox.lost == _MANY
    finally:
        await outbox.close()
    assert len(lost) > 500
    assert due == set(range(1, max(due) + 1))
    assert lost == set(range(max(due) + 1, _MANY + 1))
    assert ask(path, "SELECT lost, unkept FROM outbox") == [(len(lost), len(lost))]


async def test_what_a_device_refuses_is_told_to_those_who_listen_and_adds_up_for_the_others(
    path: Path,
) -> None:
    clock = FakeClock()
    outbox = await full(path, clock, {"a": Care("normal", "refuse")})
    park = outbox.deliveries["park"]
    try:
        city = outbox.deliveries["city"]
        assert city.settled(1) == _MANY
        assert not ask(path, "SELECT * FROM loss_owed WHERE uplink = ? AND loss < 10", city.uplink)
        assert len(await park.open_losses()) == 1
    finally:
        await outbox.close()


async def test_critical_readings_outlive_those_that_another_device_refused_to_give_up(path: Path) -> None:
    outbox = await full(path, FakeClock(), {"a": Care("bulk", "refuse"), "door": Care("critical")})
    try:
        found = await accounts(outbox, outbox.deliveries["park"], path)
    finally:
        await outbox.close()
    assert not found["a"][0]
    assert max(found["door"][0]) == _MANY


async def test_after_a_restart_the_accounts_are_the_same(path: Path) -> None:
    clock = FakeClock()
    cares = {"a": Care(), "b": Care("bulk", "thin"), "c": Care("critical", "refuse")}
    outbox = await full(path, clock, cares)
    before = await accounts(outbox, outbox.deliveries["park"], path)
    counted = outbox.kept, outbox.lost
    await outbox.close()
    outbox = await open_outbox(path, clock, ("city", "park"), devices=())
    try:
        assert await accounts(outbox, outbox.deliveries["park"], path) == before
        assert (outbox.kept, outbox.lost) == counted
        assert await owed(outbox.deliveries["city"]) == []
    finally:
        await outbox.close()


async def test_a_drain_settles_everything(path: Path) -> None:
    outbox = await full(
        path, FakeClock(), {"a": Care(), "b": Care("bulk", "thin"), "c": Care("bulk", "refuse")}
    )
    park = outbox.deliveries["park"]
    try:
        for loss in await park.open_losses():
            park.settle_loss(loss)
        for row in await owed(park):
            park.settle(row.stream, row.seq, row.seq)
        assert park.backlog == 0
        assert {park.settled(stream) for stream in outbox.streams} == {_MANY}
    finally:
        await outbox.close()
    assert ask(path, "SELECT DISTINCT settled FROM delivery WHERE beyond IS NULL AND given_up IS NULL") == [
        (_MANY,)
    ]


@pytest.mark.parametrize("times", [1, 3])
async def test_what_was_given_up_and_not_heard_is_not_owed(
    times: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite fails after its own COMMIT: rows are gone that memory does not know of."""
    write, failures = eviction.evict, iter(range(times))

    def failing(db: sqlite3.Connection, *arguments: Any) -> Any:
        made = write(db, *arguments)
        if next(failures, None) is not None:
            raise sqlite3.OperationalError("disk I/O error")
        return made

    monkeypatch.setattr(eviction, "evict", failing)
    clock = FakeClock()
    outbox = await full(path, clock, {"d1": Care()}, many=3_000)
    try:
        park = outbox.deliveries["park"]
        for _ in range(2):
            outbox.keep(reading("d1", 1))
            assert await outbox.flush()
        assert next(failures, None) is None
        assert len(await owed(park)) == park.backlog
        named = sum(loss.readings or 0 for loss in await park.open_losses())
        assert park.backlog + named == outbox.kept
        assert outbox.lost == named
    finally:
        await outbox.close()


async def test_the_file_is_looked_at_before_many_readings_have_come(path: Path) -> None:
    """No marks are due: the clock stands still."""
    outbox = await open_outbox(path, FakeClock(), kept_by=policy(max_size=_CAP), devices=["d1"])
    try:
        most = 0
        for number in range(80):
            for _ in range(100):
                outbox.keep(reading("d1", number))
            assert await outbox.flush()
            most = max(most, await outbox._db.run(queries.bytes_held))
        assert most < _CAP * 1.2
    finally:
        await outbox.close()


async def test_numbers_stay_known_where_marks_fail_before_room_is_made(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash after the next marks gave the numbers of a device that was silent since once more."""
    write = transactions.write

    def failing(db: sqlite3.Connection, batch: Batch, *others: Any) -> Any:
        if not batch.rows:
            raise sqlite3.OperationalError("database or disk is full")
        return write(db, batch, *others)

    clock = FakeClock()
    async with opened(path, clock, kept_by=policy(max_size=_CAP)) as outbox:
        with monkeypatch.context() as patch:
            patch.setattr(transactions, "write", failing)
            for number in range(3_000):
                outbox.keep(reading("d1", number))
            await outbox.flush()
        clock.wait(60_000)  # marks are due
        outbox.keep(reading("d2", 1))
        assert await outbox.flush()
        left = crash(path, tmp_path / "crash")
        last = {device: outbox.last_seq(device) for device in ("d1", "d2")}
    async with opened(left, clock) as outbox:
        assert {device: outbox.last_seq(device) for device in last} == last == {"d1": 3_000, "d2": 1}


@pytest.mark.parametrize("then", ["connected", "disconnected", "restarted"])
async def test_an_event_that_nobody_takes_costs_no_reading(path: Path, then: str) -> None:
    """What is acknowledged makes room, though an older event is owed; and the event stays."""
    clock = FakeClock()
    described = "meter", "hash", '{"channels":{"temperature":{},"humidity":{}}}', NAMES
    outbox = await open_outbox(path, clock, kept_by=policy(max_size=_CAP), devices=())

    async def keep(many: int) -> None:
        for number in range(many):
            outbox.keep(reading("meter", number))
            if not number % 100:
                clock.wait(10_000)  # marks are due
                assert await outbox.flush()
        assert await outbox.flush()

    try:
        await outbox.enroll(*described, Care(when_full="refuse"))
        await outbox.events.enroll()
        city = outbox.deliveries["city"]
        outbox.events.tell(Event("offline", "meter", clock.mono_ms(), "why"))

        def take(runs: Sequence[Run], _: Sequence[Declared]) -> None:
            for run in runs:
                if run.rows[0].meta != EVENT_META:
                    city.settle(run.stream, run.first, run.last)

        city.on_kept = take
        city.low_water, city.low_water_of_readings = lambda: 1, lambda: city.last_id + 1
        await keep(_MANY)
        assert (outbox.lost, city.backlog, city.owed) == (0, 0, 1)
        if then != "connected":
            city.rewind()
            city.on_kept = city.low_water = city.low_water_of_readings = None
        if then == "restarted":
            await outbox.close()
            outbox = await open_outbox(path, clock, kept_by=policy(max_size=_CAP), devices=())
            await outbox.enroll(*described, Care(when_full="refuse"))
            city = outbox.deliveries["city"]
        await keep(500)
        assert (outbox.lost, city.backlog, city.owed) == (0, 0, 1) if then == "connected" else (0, 500, 501)
        assert not outbox._writer._capacity.full
    finally:
        await outbox.close()
    rows = ask(path, "SELECT count(*), sum(meta = 0), min(id) FROM log")
    assert rows == [(rows[0][0], 1, 1)]
    assert rows[0][0] < _MANY


async def test_what_is_acknowledged_while_room_is_made_is_known_after_a_crash(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows go undeclared. A file that did not know why would look damaged."""
    clock = FakeClock()
    async with opened(path, clock, kept_by=policy(max_size=_CAP)) as outbox:
        city, look = outbox.deliveries["city"], eviction.candidates
        left: list[Path] = []

        async def acknowledged(work: Any, *arguments: Any) -> Any:
            if work is look:
                city.settle(1, 1, 1_000)
            found = await run(work, *arguments)
            if work is eviction.evict and not left:
                left.append(crash(path, tmp_path / "crash"))
            return found

        run = outbox._db.run
        monkeypatch.setattr(outbox._db, "run", acknowledged)
        while not left:
            outbox.keep(reading("d1", 1))
            assert outbox.last_seq("d1") < _MANY
            if not outbox.waiting % 500:
                assert await outbox.flush()
    async with opened(left[0], clock, kept_by=policy(max_size=_CAP)) as outbox:
        city = outbox.deliveries["city"]
        assert ask(left[0], "SELECT min(seq) > 1 FROM log WHERE stream = 1") == [(1,)]
        assert (city.settled(1), city.acknowledged) == (1_000, 1_000)
        assert city.backlog == len(await owed(city)) > 0
