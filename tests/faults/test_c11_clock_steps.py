"""C11: boot at 1970, a step of 56 years, then an hour back. Order and numbers do not care."""

import pytest

from tests.faults.rig import Record, Rig

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
    unsure = 100  # readings around a step, until it is noticed at the next commit
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
