"""C8: the byte cap is reached while offline. What goes is declared, and the file stays within its bound."""

import pytest

from tests.faults.rig import Record, Rig

pytestmark = pytest.mark.xdist_group("faults-c08")

_CAP = 1_000_000


async def test_byte_cap_is_reached_while_offline(rig: Rig, record: Record) -> None:
    await rig.link.refuse()
    agent = rig.gateway(rig.link.port, rate=0, most=60_000, stored='max_size = "1MB"')
    await agent.start()
    await agent.all_read(100)
    assert await agent.stop() == 0
    size = agent.outbox.stat().st_size
    await rig.link.listen()
    await agent.start()
    counts = await rig.finish(agent)
    reasons = sorted({loss["reason"] for loss in rig.witness.losses.values()})
    record("C8", "1 MB reached while offline", counts, file_bytes=size, reasons=" ".join(reasons))
    counts.check()
    assert counts.declared
    assert reasons == ["capacity"]
    assert counts.delivered > 5_000
    assert size < 1.3 * _CAP
    for (device, _), seqs in rig.witness.readings.items():
        assert seqs[max(seqs)][0] == 60_000, f"{device}: the newest was given up"
