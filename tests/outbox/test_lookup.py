"""What became of a range of numbers: found in the order of keeping, for any share of a stream in the log."""

import random
from pathlib import Path

from edge_agent.clock import SystemClock
from edge_agent.outbox import lookup
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.policy import Identity, Policy
from edge_agent.reading import Reading


async def test_numbers_are_found_wherever_they_lie(tmp_path: Path) -> None:
    chance = random.Random(7)
    clock = SystemClock("always")
    outbox = await Outbox.open(
        tmp_path / "outbox.db", Identity("site", "gw"), Policy(1, 50_000, 3600, 10**9), clock, ["up"]
    )
    try:
        for device in ("often", "seldom", "early"):
            await outbox.enroll(device, "h", "{}", ["n"])
        kept = dict.fromkeys(("often", "seldom", "early"), 0)
        for at in range(45_000):
            device = "early" if at < 900 and at % 3 == 0 else "seldom" if chance.random() < 0.001 else "often"
            kept[device] += 1
            outbox.keep(Reading(device, clock.mono_ms(), {"n": kept[device]}))
            if at % 15_000 == 0:
                await outbox.flush()
        await outbox.flush()
        up = outbox.deliveries["up"]
        streams = {stream.device: stream.id for stream in outbox.streams.values()}
        for device, count in kept.items():
            up.settle(streams[device], 1, count)
            for _ in range(12):
                first = chance.randint(1, count)
                last = min(count, first + chance.choice([0, 1, 20, 500, lookup.MOST + 5]))
                found = await up.log.range_status(streams[device], first, last)
                last = min(last, first + lookup.MOST - 1)
                assert (found.to_seq, found.runs) == (last, [(first, last, "queued")])
                rows, at_id = [], found.from_id
                while at_id <= found.to_id:
                    more, at_id = await up.log.read_range(
                        streams[device], first, last, at_id, found.to_id, 700
                    )
                    rows += more
                assert [row.seq for row in rows] == list(range(first, last + 1))
    finally:
        await outbox.close()


def test_a_range_of_many_holes_is_answered_up_to_a_number() -> None:
    runs = lookup._runs(range(1, 5001), lambda seq: "queued" if seq % 2 else "gone")
    assert sum(run[2] == "gone" for run in runs) == lookup._MOST_RUNS
    assert [first for first, _, _ in runs] == list(range(1, runs[-1][1] + 1))
