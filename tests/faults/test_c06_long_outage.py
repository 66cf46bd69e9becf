"""C6: an outage of three days, by a simulated clock, with restarts, kills and reboots inside."""

import random
from itertools import pairwise

import pytest

from tests.faults.rig import Record, Rig

pytestmark = pytest.mark.xdist_group("faults-c06")

_HOUR_MS = 3_600_000
_STEP_MS = 5_000  # between two readings: two devices, each every 10 s
_FIRST_WALL_MS = 1_767_225_600_000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("hours", [24, pytest.param(72, marks=pytest.mark.soak)])
async def test_outage_of_days(hours: int, rig: Rig, record: Record) -> None:
    chance = random.Random(6)
    await rig.link.refuse()
    agent = rig.gateway(rig.link.port, rate=0, stored='replay = "1h"')
    lives = 8
    each = hours * _HOUR_MS // lives
    mono, boot = 1_000, 0
    for life in range(lives):
        if chance.random() < 0.5:
            mono, boot = 1_000, boot + 1  # a reboot: the monotonic time begins again
        agent.most = (life + 1) * each // _STEP_MS // 2
        agent.clock = {
            "boot": f"boot-{boot}", "mono_ms": mono, "wall_ms": _FIRST_WALL_MS + life * each,
            "trusted": True, "step_ms": _STEP_MS, "jumps": [],
        }  # fmt: skip
        await agent.start()
        await agent.all_read(60)
        if life % 2:
            await agent.kill()
        else:
            assert await agent.stop() == 0
        mono += each
    await rig.link.listen()
    agent.clock = {**(agent.clock or {}), "mono_ms": mono, "wall_ms": _FIRST_WALL_MS + hours * _HOUR_MS}
    await agent.start()
    counts = await rig.finish(agent)
    record("C6", f"outage of {hours} h, {lives} lives, {boot} reboots, {lives // 2} of them killed", counts)
    counts.check()
    assert counts.unkept == 0
    assert counts.kept > hours * 3600 // 5 * 0.9
    for key, seqs in rig.witness.readings.items():
        times = [seqs[seq][1] for seq in sorted(seqs)]
        assert all(before <= after for before, after in pairwise(times)), f"{key} goes back in time"
    firsts = [seqs[1][1] for seqs in rig.witness.readings.values()]
    lasts = [seqs[max(seqs)][1] for seqs in rig.witness.readings.values()]
    assert max(lasts) - min(firsts) > 0.9 * (hours - 1) * _HOUR_MS
