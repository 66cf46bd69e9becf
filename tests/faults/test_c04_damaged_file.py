"""C4: the outbox is damaged while the agent is down. It starts, runs on, and accounts for every number."""

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.rig import Record, Rig
from tests.faults.store import stored

pytestmark = pytest.mark.xdist_group("faults-c04")

Damage = Callable[[Path, random.Random], None]
_PAGE = 1024


def _flipped_pages(path: Path, chance: random.Random) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(3):
            file.seek(chance.randrange(2 * _PAGE, size - _PAGE))
            file.write(chance.randbytes(_PAGE // 2))


def _header(path: Path, chance: random.Random) -> None:
    with path.open("r+b") as file:
        file.write(chance.randbytes(100))


def _truncated(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(_PAGE, path.stat().st_size))


def _truncated_wal(path: Path, chance: random.Random) -> None:
    wal = Path(f"{path}-wal")
    os.truncate(wal, chance.randrange(wal.stat().st_size))


def _empty(path: Path, _chance: random.Random) -> None:
    os.truncate(path, 0)


_KINDS = [_flipped_pages, _header, _truncated, _truncated_wal, _empty]


@pytest.mark.parametrize("damage", [pytest.param(kind, id=kind.__name__.strip("_")) for kind in _KINDS])
@pytest.mark.parametrize(
    "seed", [4, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(100, 110))]
)
async def test_damaged_file(seed: int, damage: Damage, rig: Rig, record: Record) -> None:
    chance = random.Random(seed)
    agent = await rig.backlog(6000)
    agent.rate, agent.most = 100, None
    await rig.link.refuse()
    await agent.start()
    first = agent.said["kept"]
    await agent.until(lambda said: said["kept"] > first + 20, 60)
    await asyncio.sleep(chance.uniform(0.5, 1.5))
    await agent.kill()  # the end of it is in the WAL
    damage(agent.outbox, chance)
    await agent.start()
    epoch, before = agent.said["epoch"], agent.said["kept"]
    await agent.until(lambda said: said["kept"] > before + 80, 60)
    await rig.link.listen()
    counts = await rig.finish(agent)
    kept = stored(agent.outbox)
    reasons = sorted({reason for *_, reason in kept.losses})
    record(
        "C4", f"{damage.__name__.strip('_').replace('_', ' ')}, seed {seed}", counts,
        epochs=len({key[1] for key in kept.tops}), reasons=" ".join(reasons),
    )  # fmt: skip
    counts.check()
    assert counts.delivered > 50
    assert max(seq for (_, of), seqs in rig.witness.readings.items() if of == epoch for seq in seqs) > 25
    if counts.unkept:
        assert reasons == ["damage"]
