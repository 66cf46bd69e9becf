"""The expected end of a backlog, from what was acknowledged of it."""

import pytest

from edge_agent.uplink.drain import Drain


def test_nothing_is_known_before_something_was_measured() -> None:
    drain = Drain()
    drain.acked(100, 1.0)
    assert drain.seconds(1000, 5.0) is None, "it has not begun"
    drain.begin(5.0)
    drain.acked(100, 5.5)
    assert drain.seconds(1000, 5.9) is None, "half a second says little"


def test_a_steady_rate_gives_the_time_that_it_takes() -> None:
    drain = Drain()
    drain.begin(10.0)
    for tenth in range(1, 101):
        drain.acked(50, 10.0 + tenth / 10)
    assert drain.seconds(10_000, 20.0) == pytest.approx(20.0, rel=0.1)
    assert drain.seconds(0, 20.0) == 0


def test_a_rate_that_changes_is_followed_and_one_message_does_not_decide() -> None:
    drain = Drain()
    drain.begin(0.0)
    for second in range(1, 11):
        drain.acked(1000, float(second))
    drain.acked(1, 11.0)
    assert drain.seconds(7000, 11.0) == pytest.approx(10.0, rel=0.1), "one slow second is a part of it"
    for second in range(12, 40):
        drain.acked(10, float(second))
    assert drain.seconds(100, 39.0) == pytest.approx(10.0, rel=0.2)


def test_a_link_that_stalls_makes_it_longer() -> None:
    drain = Drain()
    drain.begin(0.0)
    for second in range(1, 11):
        drain.acked(1000, float(second))
    before, after = drain.seconds(10_000, 10.0), drain.seconds(10_000, 20.0)
    assert before is not None
    assert after is not None
    assert after > 1.3 * before
