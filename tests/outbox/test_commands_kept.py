"""What the file remembers of commands: across restarts, salvage and an older version of itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from importlib.resources import files
from pathlib import Path

import pytest

from edge_agent.clock import SystemClock
from edge_agent.outbox import commands, store
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.outbox.seal import is_sealed, prepare, seal
from edge_agent.reading import Reading


class Clock(SystemClock):
    """The machine's, and ``ahead`` ms."""

    ahead = 0

    def mono_ms(self) -> int:
        return super().mono_ms() + self.ahead


@asynccontextmanager
async def opened(
    path: Path, clock: Clock | None = None, adopting: Path | None = None
) -> AsyncIterator[Outbox]:
    outbox = await Outbox.open(
        path, Identity("site", "gw"), Policy(1, 100, 3600, 10**9), clock or Clock("always"), ["up"],
        adopting=adopting,
    )  # fmt: skip
    await outbox.enroll("meter", "h", "{}", ["n"])
    try:
        yield outbox
    finally:
        await outbox.close()


async def test_an_id_is_taken_once_and_keeps_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with opened(path) as outbox:
        assert await outbox.commands.take("a", "ping", "to/a", b"1") is None
        assert await outbox.commands.take("b", "ping", "to/b", None) is None
        await outbox.commands.answer("a", b"{}")
        again = await outbox.commands.take("a", "ping", "elsewhere", None)
        assert again is not None
        assert (again.answer, again.reply_to, again.correlation) == (b"{}", "to/a", b"1")
    async with opened(path) as outbox:
        known = await outbox.commands.unacknowledged(300_000)
        assert [(one.id, one.answer) for one in known] == [("a", b"{}"), ("b", None)]
        outbox.commands.acknowledge("a")
        await outbox.commands.write()
    async with opened(path) as outbox:
        assert [one.id for one in await outbox.commands.unacknowledged(300_000)] == ["b"]


async def test_what_a_broker_took_is_written_whatever_is_asked_meanwhile(tmp_path: Path) -> None:
    """Else the same answers would go out once more after a restart."""
    path = tmp_path / "outbox.db"
    async with opened(path) as outbox:
        kept = outbox.commands
        for id_ in "abc":
            await kept.take(id_, "ping", "to", None)
            await kept.answer(id_, b"{}")
        kept.acknowledge("a")
        assert await kept.take("a", "ping", "to", None) is not None  # old: nothing is written with it
        answered = asyncio.gather(kept.answer("c", b"{}"), kept.take("d", "ping", "to", None))
        await asyncio.sleep(0)  # both have begun
        kept.acknowledge("b")
        await answered
        await kept.write()
    async with opened(path) as outbox:
        assert [one.id for one in await outbox.commands.unacknowledged(300_000)] == ["c", "d"]


async def test_ids_are_forgotten_after_a_day_or_ten_thousand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_MOST", 20)
    clock = Clock("always")
    async with opened(tmp_path / "outbox.db", clock) as outbox:
        for n in range(30):
            await outbox.commands.take(f"c{n}", "ping", "to", None)
        assert await outbox.commands.find("c9") is None
        assert await outbox.commands.find("c10") is not None
        clock.ahead = 86_000_000
        await outbox.commands.take("later", "ping", "to", None)
        assert await outbox.commands.find("c29") is not None
        clock.ahead = 86_500_000
        await outbox.commands.take("latest", "ping", "to", None)
        assert await outbox.commands.find("c29") is None
        assert await outbox.commands.find("later") is not None


async def test_a_salvage_remembers_them(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with opened(path) as outbox:
        await outbox.commands.take("a", "ping", "to", None)
        outbox.keep(Reading("meter", 1, {"n": 1}))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE boot SET ran_ms = ran_ms + 1")  # a bit that turned
    async with opened(path) as outbox:
        assert (tmp_path / "outbox.db.damaged").exists()
        assert await outbox.commands.find("a") is not None


async def test_a_card_that_was_mended_remembers_them(tmp_path: Path) -> None:
    card, memory = tmp_path / "card.db", tmp_path / "memory.db"
    for path, id_ in ((card, "a"), (memory, "b")):
        async with opened(path) as outbox:
            await outbox.commands.take(id_, "ping", "to", None)
    async with opened(card, adopting=memory) as outbox:
        assert await outbox.commands.find("a") is not None
        assert await outbox.commands.find("b") is not None
    assert not memory.exists()


async def test_a_file_without_commands_gets_their_table_and_keeps_its_readings(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with opened(path) as outbox:
        outbox.keep(Reading("meter", 1, {"n": 1}))
        epoch = outbox.epoch
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        prepare(db)
        for later in ("TABLE command", "TABLE memory", "TABLE told", "TABLE retired", "INDEX log_event"):
            db.execute(f"DROP {later}")
        db.execute("PRAGMA user_version = 1000")
        seal(db)
        assert is_sealed(db), "as the version before left it"
    async with opened(path) as outbox:
        assert outbox.epoch == epoch
        assert outbox.last_seq("meter") == 1
        assert await outbox.commands.take("a", "ping", "to", None) is None
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1000 + store.MINOR,)
        assert is_sealed(db)
    assert not (tmp_path / "outbox.db.damaged").exists()


def test_the_schema_has_all_minor_versions() -> None:
    names = sorted(file.name for file in (files("edge_agent.outbox") / "schema").iterdir())
    assert names == ["0001.sql", *(f"0001_{minor}.sql" for minor in range(1, store.MINOR + 1))]


async def test_each_uplink_answers_what_came_over_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox.db") as outbox:
        city, park = (outbox.commands.over(name) for name in ("city", "park"))
        assert await city.take("a", "ping", "to", None) is None
        assert await park.take("b", "ping", "to", None) is None
        assert await park.take("a", "ping", "to", None) is not None, "an id counts for all"
    async with opened(tmp_path / "outbox.db") as outbox:
        asked = {
            name: await outbox.commands.over(name).unacknowledged(1000) for name in ("city", "park", "other")
        }
        assert {name: [one.id for one in unacknowledged] for name, unacknowledged in asked.items()} == {
            "city": ["a"], "park": ["b"], "other": [],
        }  # fmt: skip


async def test_an_outbox_in_memory_knows_what_the_card_knew(tmp_path: Path) -> None:
    card, memory = tmp_path / "card.db", tmp_path / "memory.db"
    async with opened(card) as outbox:
        assert await outbox.commands.take("a", "ping", "to/a", None) is None
        await outbox.commands.answer("a", b"{}")
    async with opened(memory) as outbox:
        await outbox.commands.recall(card)
        known = await outbox.commands.take("a", "ping", "to/a", None)
        assert known is not None
        assert known.answer == b"{}"
        await outbox.commands.recall(tmp_path / "no.db")
        assert await outbox.commands.take("b", "ping", "to/b", None) is None
    assert not (tmp_path / "no.db").exists()
