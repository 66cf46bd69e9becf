"""C11: boot at 1970, a step of 56 years, then an hour back. Order and numbers do not care."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.rig import Record, Rig
from tests.faults.witness import Witness

pytestmark = pytest.mark.xdist_group("faults-c11")

_STEP_MS = 1_000
_NOW_MS = 1_795_366_800_000
_HOUR_MS = 3_600_000
_SET, _BACK, _END = 500, 1_000, 1_500  # at which reading


async def test_clock_steps(rig: Rig, record: Record) -> None:
    agent = rig.gateway(rig.link.port, rate=200, most=_END, devices=["d1"], clock='trust = "kernel"')
    agent.clock = {
        "boot": "boot-1", "mono_ms": 10_000, "wall_ms": 10_000, "trusted": False, "step_ms": _STEP_MS,
        "jumps": [[_SET, _NOW_MS, True], [_BACK, _NOW_MS + (_BACK - _SET) * _STEP_MS - _HOUR_MS, True]],
    }  # fmt: skip
    await agent.start()
    await agent.all_read(60)
    counts = await rig.finish(agent)
    record("C11", "boot at 1970, +56 years, then an hour back", counts, **{
        f"said_{name or 'true'}": count for name, count in rig.witness.clocks.items()
    })  # fmt: skip
    counts.check()
    assert counts.unkept == 0
    assert counts.kept == _END
    (seqs,) = rig.witness.readings.values()
    assert [seqs[seq][0] for seq in sorted(seqs)] == list(range(1, _END + 1)), "the order changed"
    before, after = _NOW_MS - _SET * _STEP_MS, _NOW_MS - _SET * _STEP_MS - _HOUR_MS
    unsure = 300  # readings around a step, until it is noticed at the next commit
    for n, ts in seqs.values():
        if n < _BACK:
            assert ts == before + n * _STEP_MS, f"reading {n}"
        elif n > _BACK + unsure:
            assert ts == after + n * _STEP_MS, f"reading {n}"
    assert set(rig.witness.clocks) == {"", "repaired"}


async def test_a_clock_that_is_never_known(rig: Rig, record: Record) -> None:
    agent = rig.gateway(
        rig.link.port, rate=200, most=400, devices=["d1"], clock='trust = "kernel"\nwait = "1s"'
    )
    agent.clock = {
        "boot": "boot-1", "mono_ms": 10_000, "wall_ms": 20_000, "trusted": False,
        "step_ms": _STEP_MS, "jumps": [],
    }  # fmt: skip
    await agent.start()
    await agent.all_read(60)
    counts = await rig.finish(agent)
    record("C11", "a clock that is never known", counts)
    counts.check()
    assert counts.unkept == 0
    assert set(rig.witness.clocks) == {"unsynchronised"}


def _mended(heard: Witness) -> bool:
    """Whether no reading is left with the rank of a time that is not known."""
    return all(clock != "unsynchronised" for clock, _ in heard.ranks.values())


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_what_went_out_without_a_time_comes_again_with_it(
    rig: Rig, record: Record, *, kill: bool
) -> None:
    agent = rig.gateway(
        rig.link.port, rate=200, most=300, devices=["d1"], clock='trust = "kernel"\nwait = "500ms"'
    )
    agent.clock = {
        "boot": "boot-1", "mono_ms": 10_000, "wall_ms": 10_000, "trusted": False, "step_ms": _STEP_MS,
        "jumps": [],
    }  # fmt: skip
    await agent.start()
    await agent.all_read(60)
    await agent.until(lambda said: not said["uplinks"][0]["backlog"], 60)
    assert agent.said["clock"] == "unsynchronised"
    assert await asyncio.to_thread(rig.witness.wait, lambda heard: heard.distinct == 300, 60)
    assert set(rig.witness.clocks) == {"unsynchronised"}
    before = dict(rig.witness.clocks), rig.witness.settled["d1", agent.said["epoch"]]
    if kill:
        await agent.kill()
    else:
        assert await agent.stop() == 0

    agent.most = _SET + 100
    agent.clock |= {"mono_ms": 10_000 + 300 * _STEP_MS, "jumps": [[_SET, _NOW_MS, True]]}
    agent.clock["wall_ms"] = agent.clock["mono_ms"]
    await agent.start()
    await agent.all_read(60)
    assert (await agent.until(lambda said: said["clock"] == "synchronised", 60))["clock"] == "synchronised"
    assert await asyncio.to_thread(rig.witness.wait, _mended, 60), rig.witness.clocks
    counts = await rig.finish(agent)
    record("C11", f"sent without a time, {'killed' if kill else 'stopped'}, then known", counts, **{
        f"said_{name or 'true'}": count for name, count in rig.witness.clocks.items()
    })  # fmt: skip
    counts.check()
    assert counts.unkept == 0
    (seqs,) = rig.witness.readings.values()
    assert [seqs[seq][0] for seq in sorted(seqs)] == list(range(1, _SET + 101)), "the order changed"
    assert [ts for _, ts in seqs.values()] == [_NOW_MS + (n - _SET) * _STEP_MS for n, _ in seqs.values()]
    assert rig.witness.settled["d1", agent.said["epoch"]] >= before[1], "settled went back"
    if not kill:  # nothing was sent more often than it had to be
        assert rig.witness.clocks["repaired"] + rig.witness.clocks[""] == _SET + 100
        assert counts.duplicates == rig.witness.clocks["unsynchronised"]


@pytest.fixture
def libfaketime() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.fail("faketime is missing; run make test as root, or apt-get install faketime")
    return found[0]


async def test_a_whole_process_whose_clock_is_set_twice(
    rig: Rig, record: Record, tmp_path: Path, libfaketime: Path
) -> None:
    wall = tmp_path / "wall"
    wall.write_text("@1970-01-01 00:00:10\n", "ascii")
    agent = rig.gateway(rig.link.port, rate=100, devices=["d1", "d2"], clock='trust = "rtc"')
    agent.under = (
        *("env", f"LD_PRELOAD={libfaketime}", f"FAKETIME_TIMESTAMP_FILE={wall}"),
        *("FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"),
    )
    await agent.start()
    await agent.until(lambda said: said["kept"] >= 200, 60)
    assert agent.said["clock"] == "unsynchronised"
    assert rig.witness.distinct == 0, "readings wait for the clock"
    wall.write_text("+0\n", "ascii")
    await agent.until(lambda said: said["clock"] == "synchronised", 60)
    set_at = agent.said["kept"]
    await agent.until(lambda said: said["kept"] >= set_at + 200, 60)
    wall.write_text("-3600\n", "ascii")
    back_at = agent.said["kept"]
    await agent.until(lambda said: said["kept"] >= back_at + 200, 60)
    counts = await rig.finish(agent)
    record("C11", "a whole process under libfaketime", counts, **{
        f"said_{name or 'true'}": count for name, count in rig.witness.clocks.items()
    })  # fmt: skip
    counts.check()
    assert counts.unkept == 0
    assert counts.duplicates == 0
    assert set(rig.witness.clocks) == {"", "repaired"}
    for seqs in rig.witness.readings.values():
        made = [seqs[seq] for seq in sorted(seqs)]
        assert [n for n, _ in made] == list(range(1, len(made) + 1)), "the order changed"
        steps = [after - before for (_, before), (_, after) in pairwise(made)]
        back = [step for step in steps if step < 0]
        assert len(back) == 1, "the clock was set back once; the step from 1970 was mended"
        assert back[0] + _HOUR_MS < 30_000
        assert max(steps) < 30_000
