"""The window: grows while the path is clean, shrinks when it slows down, and is never handed out twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.uplink.window import LEAST_BYTES, MOST_BYTES, MOST_MESSAGES, Window


def _round_trips(window: Window, count: int, *, start: float, latency: float, size: int = 4096) -> float:
    now = start
    for _ in range(count):
        window.sent(size, now, backlog=False)
        now += latency
        window.acked(size, latency, now, backlog=False)
    return now


def test_it_begins_small() -> None:
    window = Window(65_535)
    assert window.room == LEAST_BYTES
    assert window.messages == MOST_MESSAGES


@pytest.mark.parametrize(("wanted", "given_"), [(3, 3), (1, 1), (0, 1), (65_535, MOST_MESSAGES)])
def test_the_broker_may_lower_the_number_of_messages(wanted: int, given_: int) -> None:
    assert Window(wanted).messages == given_


def test_it_doubles_when_a_windows_worth_came_back() -> None:
    window = Window(20)
    now = _round_trips(window, 1, start=0, latency=0.01)
    assert window.limit == LEAST_BYTES
    now = _round_trips(window, 1, start=now, latency=0.01)
    assert window.limit == 2 * LEAST_BYTES
    _round_trips(window, 4, start=now, latency=0.01)
    assert window.limit == 4 * LEAST_BYTES


def test_it_does_not_grow_for_ever() -> None:
    window = Window(20)
    _round_trips(window, 2000, start=0, latency=0.01)
    assert window.limit == MOST_BYTES


def test_it_halves_once_for_all_that_were_late_together() -> None:
    window = Window(20)
    now = _round_trips(window, 14, start=0, latency=0.05)
    before = window.limit
    for _ in range(4):
        window.sent(100, now, backlog=False)
    for _ in range(4):
        window.acked(100, 0.5, now + 0.5, backlog=False)
    assert window.limit == before // 2


def test_it_never_halves_below_the_least() -> None:
    window = Window(20)
    now = _round_trips(window, 1, start=0, latency=0.01)
    _round_trips(window, 50, start=now, latency=1)
    assert window.limit == LEAST_BYTES


def test_noise_is_no_delay() -> None:
    window = Window(20)
    _round_trips(window, 1, start=0, latency=0.001)
    before = window.limit
    _round_trips(window, 8, start=1, latency=0.015)
    assert window.limit > before


def test_a_path_that_became_slower_for_good_is_learnt() -> None:
    window = Window(20)
    now = _round_trips(window, 10, start=0, latency=0.1)
    now = _round_trips(window, 300, start=now, latency=0.5)
    before = window.limit
    _round_trips(window, 100, start=now, latency=0.5)
    assert window.limit > before


def test_the_backlog_gets_half() -> None:
    window = Window(20)
    assert window.backlog_room == LEAST_BYTES // 2
    window.sent(LEAST_BYTES // 2, 0, backlog=True)
    assert window.backlog_room == 0
    assert window.room == LEAST_BYTES // 2


def test_the_backlog_gets_half_of_the_messages() -> None:
    window = Window(20)
    for _ in range(10):
        assert window.backlog_room
        window.sent(10, 0, backlog=True)
    assert window.backlog_room == 0
    assert window.room


def test_the_backlog_gets_its_turn_with_one_message() -> None:
    window = Window(1)
    assert window.backlog_room
    window.sent(10, 0, backlog=True)
    assert window.backlog_room == window.room == 0


def test_the_backlog_gets_at_most_a_second_of_what_the_path_carries() -> None:
    window = Window(20)
    _round_trips(window, 2000, start=0, latency=0.1, size=2000)  # 20,000 bytes a second
    assert window.limit > 100_000
    assert 15_000 < window.backlog_room <= 20_000


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 100_000), st.booleans()),
        st.tuples(st.just("ack"), st.floats(0, 30), st.integers(0, 30)),
    ),
    max_size=200,
)


@given(st.integers(0, 70_000), _STEPS)
def test_it_never_hands_out_what_it_does_not_have(
    receive_maximum: int, steps: list[tuple[str, float, int]]
) -> None:
    window = Window(receive_maximum)
    now = 0.0
    flying: list[tuple[int, float, bool]] = []
    for what, number, which in steps:
        now += 0.01
        if what == "send":
            backlog = bool(which)
            room = window.backlog_room if backlog else window.room
            assert 0 <= room <= MOST_BYTES
            if room:
                size = min(int(number), room)
                window.sent(size, now, backlog=backlog)
                flying.append((size, now, backlog))
        elif flying:
            size, at, backlog = flying.pop(which % len(flying))
            now += number
            window.acked(size, now - at, now, backlog=backlog)
        assert window.in_flight == len(flying) <= min(MOST_MESSAGES, max(1, receive_maximum))
        assert LEAST_BYTES <= window.limit <= MOST_BYTES
        assert window.backlog_room <= window.room or window.room == 0
        assert window.room >= 0
        assert window.backlog_room >= 0
    assert sum(size for size, _, _ in flying) == window._bytes
    assert sum(size for size, _, backlog in flying if backlog) == window._backlog_bytes
