"""Fewer points, and no peak lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.downsampling import Downsampler, Span, runs

POINTS = st.lists(
    st.tuples(st.integers(0, 1_000), st.floats(-1e6, 1e6), st.booleans()),
    max_size=60,
    unique_by=lambda p: p[0],
)


@given(POINTS, st.integers(1, 20))
def test_the_lowest_the_highest_the_last_and_every_doubt_stay(
    points: list[tuple[int, float, bool]], most: int
) -> None:
    thinning = Downsampler(0, 1_000, most)
    for ts, value, doubt in points:
        thinning.add(ts, value, doubt=doubt)
    spans = thinning.spans()
    assert len(spans) <= most
    assert bool(spans) == bool(points)
    if points:
        assert min(span.low for span in spans) == min(value for _, value, _ in points)
        assert max(span.high for span in spans) == max(value for _, value, _ in points)
        assert spans[-1].value == max(points)[1]
        assert (spans[0].first, spans[-1].last) == (min(points)[0], max(points)[0])
        assert any(span.doubt for span in spans) == any(doubt for _, _, doubt in points)
        assert all(one.last < two.first for one, two in pairwise(spans))


def test_what_is_from_another_time_is_left_out() -> None:
    thinning = Downsampler(100, 200, 5)
    thinning.add(99, 1.0, doubt=False)
    thinning.add(201, 1.0, doubt=False)
    assert thinning.spans() == []


def test_a_gap_parts_what_was_read() -> None:
    def at(first: int, last: int) -> Span:
        return Span(first, last, 1.0, 1.0, 1.0, doubt=False)

    before, near, far = at(0, 10), at(20, 30), at(100, 110)
    assert runs([before, near, far], 60) == [[before, near], [far]]
    assert runs([], 60) == []
