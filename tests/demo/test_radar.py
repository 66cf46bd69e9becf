"""The simulated radar, as our own driver understands it."""

import random
from itertools import pairwise
from typing import cast

from edge_agent.demo import radar
from edge_agent.driver import Frame, Talker
from edge_agent.registry import load


def test_the_driver_reads_a_report() -> None:
    driver = load("ld2410")
    frame = radar.report(radar.Sight(3, 420, 80, 60, 100, 61))
    assert driver.cut is not None
    assert driver.cut(frame) == Frame(len(frame))
    device = cast("Talker", driver.open(driver.settings()))
    samples = dict(device.decode(frame))
    assert samples["occupancy"] is True
    assert samples["target_state"] == 3
    assert samples["moving_distance"] == 4.2
    assert samples["still_distance"] == 0.6
    assert samples["still_energy"] == 100


def test_people_come_and_go_and_leave_stale_distances() -> None:
    room = radar.Room(random.Random(1))
    sights = [room.next() for _ in range(2000)]  # 200 s
    assert {sight.state for sight in sights} == {0, 1, 2, 3}
    changes = sum(before.state != after.state for before, after in pairwise(sights))
    assert changes > 10
    left = [after for before, after in pairwise(sights) if before.state and not after.state]
    assert left
    assert all(sight.moving_cm > 0 for sight in left)
    for sight in sights:
        assert len(radar.report(sight)) == 23
