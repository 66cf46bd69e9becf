"""What an uplink is owed of one stream, against a model that has a set entry for every number."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.outbox.ranges import Ranges
from edge_agent.outbox.stream_delivery import StreamDelivery, Thinned

_TOP = 80
_span = st.tuples(st.integers(1, _TOP), st.integers(1, _TOP)).map(lambda ends: (min(ends), max(ends)))
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("settle"), _span),
        st.tuples(st.just("lose"), _span, st.sampled_from([None, 2, 4, 8])),
        st.tuples(st.just("declared"), st.integers(0, 20)),
        st.tuples(st.just("reopen")),
    ),
    max_size=40,
)


class Model:
    """Every number stands in one of three sets."""

    def __init__(self) -> None:
        self.owed = set(range(1, _TOP + 1))
        self.acked: set[int] = set()
        self.lost: dict[int, set[int]] = {}
        self.open: set[int] = set()

    @property
    def settled(self) -> int:
        waiting = self.owed.union(*(self.lost[id_] for id_ in self.open))
        return min(waiting, default=_TOP + 1) - 1


@given(_steps)
def test_a_share_agrees_with_sets_of_numbers(steps: list[tuple[object, ...]]) -> None:
    share, model = StreamDelivery(), Model()
    for step in steps:
        _take(step, share, model)
        assert {seq for seq in range(1, _TOP + 1) if share.owes(seq)} == model.owed
        assert share.owed(1, _TOP) == len(model.owed)
        assert share.settled == model.settled
        assert share.owed(13, 57) == len(model.owed & set(range(13, 58)))


def _take(step: tuple[object, ...], share: StreamDelivery, model: Model) -> None:
    match step:
        case ("settle", (int(first), int(last))):
            new = model.owed & set(range(first, last + 1))
            assert share.settle(first, last) == len(new)
            model.owed -= new
            model.acked |= new
        case ("lose", (int(first), int(last)), every):
            assert every is None or isinstance(every, int)
            new = {seq for seq in range(first, last + 1) if not every or seq % every} & model.owed
            part = share.would_lose(first, last, every)
            assert (part is None) == (not new)
            if part is None:
                return
            assert part == (min(new), max(new), len(new))
            id_ = len(model.lost)
            assert share.lose(id_, part.first, part.last, every) == len(new)
            model.owed -= new
            model.lost[id_] = new
            model.open.add(id_)
        case ("declared", int(id_)):
            share.declared(id_)
            model.open.discard(id_)
        case _:
            beyond = list(share.remembered().beyond)
            share.done = Ranges(share.done.settled, beyond)


@given(_steps)
def test_what_is_forgotten_is_owed_again_and_nothing_that_was_given_up(
    steps: list[tuple[object, ...]],
) -> None:
    share, model = StreamDelivery(), Model()
    for step in steps:
        _take(step, share, model)
    given_up = set().union(*model.lost.values())
    kept = StreamDelivery(Ranges(share.done.settled), share.thinned, Ranges(0, list(share.given_up.beyond)))
    for first, last in kept.given_up.beyond:
        kept.done.add(first, last)
    again = {seq for seq in range(1, _TOP + 1) if kept.owes(seq)}
    assert again >= model.owed
    assert not again & given_up - model.acked


def test_a_long_thinned_backlog_takes_few_ranges() -> None:
    share = StreamDelivery()
    share.lose(1, 1, 1_000_000, 2)
    share.lose(2, 1, 500_000, 4)
    assert share.owed(1, 1_000_000) == 125_000 + 250_000
    share.declared(1)
    share.declared(2)
    settled = 0
    for first in range(1, 1_000_000, 8_000):
        settled += share.settle(first, first + 7_999)
        assert len(share.done.beyond) <= 1
    assert settled == 375_000
    assert (share.settled, share.owed(1, 1_000_000), share.thinned) == (1_000_000, 0, [])


def test_numbers_right_above_settled_that_were_thinned_out_are_settled_when_declared() -> None:
    share = StreamDelivery(thinned=[Thinned(1, 8, 4)])
    share.settle(4, 4)
    assert (share.settled, share.owed(1, 8)) == (7, 1)
