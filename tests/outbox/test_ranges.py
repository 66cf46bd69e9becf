"""The settled numbers of a stream against a plain set of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.outbox.ranges import Ranges

LAST = 40
runs = st.tuples(st.integers(1, LAST), st.integers(0, 12)).map(lambda run: (run[0], run[0] + run[1]))


def numbers(ranges: Ranges) -> set[int]:
    beyond = {number for first, last in ranges.beyond for number in range(first, last + 1)}
    return set(range(1, ranges.settled + 1)) | beyond


@given(st.lists(runs, max_size=20))
def test_ranges_are_a_set_of_numbers(added: list[tuple[int, int]]) -> None:
    ranges, model = Ranges(), set[int]()
    for first, last in added:
        new = set(range(first, last + 1)) - model
        assert ranges.add(first, last) == len(new)
        model |= new
        assert numbers(ranges) == model
        assert ranges.count() == len(model)
        assert all((number in ranges) is (number in model) for number in range(1, LAST + 20))
        assert ranges.settled + 1 not in model
        edges = [edge for pair in ranges.beyond for edge in pair]
        assert edges == sorted(edges)
        starts = [first for first, _ in ranges.beyond]
        ends = [ranges.settled, *(last for _, last in ranges.beyond)]
        assert all(start > end + 1 for start, end in zip(starts, ends, strict=False)), "ranges touch"


@given(st.lists(runs, max_size=10), runs)
def test_covers_looks_at_every_number(added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    ranges = Ranges()
    for run in added:
        ranges.add(*run)
    model, wanted = numbers(ranges), set(range(asked[0], asked[1] + 1))
    assert ranges.covers(*asked) is (wanted <= model)


@given(st.lists(runs, max_size=10), st.integers(0, 3))
def test_forgetting_says_what_it_forgot(added: list[tuple[int, int]], most: int) -> None:
    ranges = Ranges()
    for run in added:
        ranges.add(*run)
    before = numbers(ranges)
    forgotten = {number for first, last in ranges.forget(most) for number in range(first, last + 1)}
    assert len(ranges.beyond) <= most
    assert numbers(ranges) | forgotten == before
    assert not numbers(ranges) & forgotten
    assert not forgotten or min(forgotten) > max(numbers(ranges) or {0}), "the lowest are kept"


def test_a_list_of_one_range_is_not_shared() -> None:
    assert Ranges().beyond is not Ranges().beyond
