"""C19: commands that are old, repeated or interrupted; and a replay that closes a gap behind the broker."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults.gateway import SITE
from tests.faults.rig import Record, Rig
from tests.uplink.asker import asking

pytestmark = pytest.mark.xdist_group("faults-c19")

BASE = f"park/v1/{SITE}/gw-01"
COMMANDS = "commands = true\n"


def _taken(outbox: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as db:
        found = db.execute("SELECT id, answer FROM command").fetchall()
    return {id_: answer and json.loads(answer)["status"] for id_, answer in found}


async def test_old_repeated_and_interrupted_commands(rig: Rig, record: Record) -> None:
    agent = rig.gateway(rig.link.port, uplink=COMMANDS)
    async with asking(rig.broker.port, base=BASE) as asker:
        await agent.start()
        await asker.online()
        asker.ask("ping", "p1")
        first = (await asker.answer("p1")).said
        assert first["status"] == "ok"
        asker.ask("ping", "left", retain=True)
        assert (await asker.answer("left")).said["reason"] == "retained"
        await agent.kill()  # and what it leaves is what is on disk between keeping and answering
        with closing(sqlite3.connect(agent.outbox)) as db, db:
            db.execute("UPDATE command SET answer = NULL, told = 0 WHERE id = 'p1'")
            db.execute(
                "INSERT INTO command (id, name, kept, reply_to, correlation) VALUES ('k1', 'ping',"
                " (SELECT max(kept) FROM command), ?, ?)",
                (f"{BASE}/reply/ping", b"k"),
            )
        # while the agent is away: an old one, and one in time
        asker.ask("ping", "old", within=-1)
        asker.ask("ping", "p2")
        asker.answers.clear()
        await agent.start()
        for id_ in ("p1", "k1"):
            said = (await asker.answer(id_)).said
            assert (said["status"], said["reason"]) == ("error", "interrupted")
        assert (await asker.answer("old")).said["status"] == "expired"
        assert (await asker.answer("p2")).said["status"] == "ok"
        assert (await asker.answer("left")).said["reason"] == "retained", "it is refused each time"
        answer = (await asker.answer("k1")).correlation
        assert answer == b"k"
        for id_ in ("p1", "k1", "p2"):
            asker.ask("ping", id_, within=-1)
        again = (await asker.until(8))[5:]
        assert [answer.said for answer in again] == [
            (await asker.answer(id_)).said for id_ in ("p1", "k1", "p2")
        ], "the answer that it had, also past its deadline"
        assert _taken(agent.outbox) == {"p1": "error", "k1": "error", "p2": "ok"}
        counts = await rig.finish(agent)
    record(
        "C19", "commands: old, retained, repeated, interrupted by SIGKILL", counts, answers=len(asker.answers)
    )
    counts.check()


async def test_kills_between_keeping_and_answering(rig: Rig, record: Record) -> None:
    """Commands flow while the agent is killed again and again: each is answered, and once only with "ok"."""
    agent = rig.gateway(rig.link.port, uplink=COMMANDS)
    async with asking(rig.broker.port, base=BASE) as asker:
        await agent.start()
        await asker.online()
        asked = 0
        for life in range(5):
            for _ in range(4):
                asker.ask("ping", f"c{asked}")
                asked += 1
            await asyncio.sleep(0.004 * life)
            await agent.kill()
            await agent.start()
        for n in range(asked):
            await asker.answer(f"c{n}", 60)
        told: dict[str, set[tuple[str, int]]] = {}
        for answer in asker.answers:
            told.setdefault(answer.said["id"], set()).add((answer.said["status"], answer.said["ts"]))
        executed = {id_: [ts for status, ts in said if status == "ok"] for id_, said in told.items()}
        assert max(map(len, executed.values())) <= 1, "the same answer each time, as it was carried out once"
        interrupted = sum(any(status == "error" for status, _ in said) for said in told.values())
        counts = await rig.finish(agent)
    record(
        "C19", f"{asked} commands, 5 SIGKILLs among them", counts,
        answered=len(told), interrupted=interrupted, answers=len(asker.answers),
    )  # fmt: skip
    counts.check()
    assert len(told) == asked


async def test_a_consumer_closes_a_gap_with_a_replay(rig: Rig, record: Record) -> None:
    """What was lost behind the broker comes again, beside live readings and a backlog; live is not slowed."""
    agent = await rig.backlog(40_000, uplink=COMMANDS)
    rig.link.rate = 200_000
    agent.rate, agent.most = 20, None
    async with asking(rig.broker.port, base=BASE) as asker:
        await agent.start()
        await agent.connected()
        key = await _settled(rig, 9_000)
        with rig.witness._heard:  # a consumer lost these, as behind a broker that drops
            for seq in range(5_001, 8_001):
                rig.witness.readings[key].pop(seq)
        gap = list(range(5_001, 8_001))
        began = time.monotonic()
        asker.ask("replay", "gap", device=key[0], epoch=key[1], from_seq=gap[0], to_seq=gap[-1])
        said = (await asker.answer("gap")).said
        assert said["result"] == {"to_seq": gap[-1], "queued": len(gap), "unavailable": [], "pending": []}
        asker.ask("replay", "again", device=key[0], epoch=key[1], from_seq=gap[0] + 99, to_seq=gap[-1])
        await asker.answer("again")
        closed = await asyncio.to_thread(
            rig.witness.wait, lambda heard: set(gap) <= heard.readings[key].keys(), 60
        )
        assert closed
        lags = sorted(lag for at, lag in rig.witness.lags if at >= began)
        rig.link.rate = None
        counts = await rig.finish(agent)
    p99 = lags[int(len(lags) * 0.99)] if lags else 0.0
    record(
        "C19", "a replay of 3,000 beside a backlog and live readings", counts, live_p99_ms=round(p99 * 1000)
    )
    counts.check()
    assert len(lags) > 10, "live readings went out meanwhile"
    assert p99 < 20, "ten times what is promised"
    assert counts.duplicates < 6_000, "what overlaps is sent once"


async def _settled(rig: Rig, above: int) -> tuple[str, str]:
    """Wait until a stream is settled up to a number; return its key."""

    def far(heard: Any) -> bool:
        return any(settled >= above for settled in heard.settled.values())

    assert await asyncio.to_thread(rig.witness.wait, far, 60)
    return next(key for key, settled in rig.witness.settled.items() if settled >= above)
