"""A consumer's judgement: against a plain model in any order, and message by message."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.consume.report import line, summary
from edge_agent.contract.examples import EXAMPLES
from edge_agent.contract.follow import Follower, Key
from edge_agent.contract.packing import MOST_BYTES, pack
from edge_agent.contract.stream import News, Stream
from tests.contract.told import DEVICE, EPOCH, GATEWAY, NOW, data, loss, status, topic

KEY = Key(GATEWAY, DEVICE, EPOCH)
TOP = 60

_numbers = st.integers(1, TOP)
_happenings = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), _numbers, st.booleans()),
        st.tuples(st.just("settle"), st.integers(0, TOP)),
        st.tuples(st.just("declare"), _numbers, st.none() | _numbers),
    ),
    max_size=80,
)


@dataclass
class Plain:
    """What a stream should know, as plain sets."""

    floor: int | None = None
    settled: int = 0
    arrived: dict[int, bool] = field(default_factory=dict)
    declared: set[int] = field(default_factory=set)
    closed: int = 0

    def arrive(self, seq: int, *, timed: bool) -> News:
        if seq in self.arrived:
            better = timed and not self.arrived[seq]
            self.arrived[seq] |= timed
            return News.BETTER if better else News.AGAIN
        self.closed += seq in self.missing
        self.arrived[seq] = timed
        return News.FRESH

    def settle(self, upto: int) -> None:
        self.floor = upto if self.floor is None else self.floor
        self.settled = max(self.settled, upto)

    def declare(self, first: int, last: int | None) -> None:
        before = self.missing
        self.declared |= set(range(first, (TOP if last is None else last) + 1))
        self.closed += len(before - self.missing)

    @property
    def judged(self) -> set[int]:
        return set() if self.floor is None else set(range(self.floor + 1, self.settled + 1))

    @property
    def missing(self) -> set[int]:
        return self.judged - self.arrived.keys() - self.declared

    @property
    def lost(self) -> int:
        return len((self.judged & self.declared) - self.arrived.keys())


def _happen(on: Stream | Plain, what: tuple[Any, ...]) -> News | None:
    match what:
        case ("arrive", seq, timed):
            return on.arrive(seq, timed=timed)
        case ("settle", upto):
            on.settle(upto)
        case ("declare", first, last):
            on.declare(first, last if last is None else max(first, last))
    return None


def _numbers_of(spans: Iterable[tuple[int, int]]) -> set[int]:
    return {seq for first, last in spans for seq in range(first, last + 1)}


@given(_happenings, st.none() | st.just(0))
def test_a_stream_knows_what_sets_know(happenings: list[tuple[Any, ...]], floor: int | None) -> None:
    stream, plain = Stream(floor), Plain(floor)
    for what in happenings:
        assert _happen(stream, what) == _happen(plain, what)
        assert _numbers_of(stream.gaps()) == plain.missing
        assert (stream.missing, stream.lost, stream.closed) == (
            len(plain.missing), plain.lost, plain.closed,
        )  # fmt: skip


@given(_happenings, st.randoms(use_true_random=False))
def test_from_the_start_the_order_does_not_matter(happenings: list[tuple[Any, ...]], order: Any) -> None:
    one, other = Stream(0), Stream(0)
    shuffled = list(happenings)
    order.shuffle(shuffled)
    for stream, all_of_it in ((one, happenings), (other, [*shuffled, *shuffled])):
        for what in all_of_it:
            _happen(stream, what)
    assert (list(one.gaps()), one.lost, one.top) == (list(other.gaps()), other.lost, other.top)


@given(_happenings, st.integers(1, 5))
def test_what_is_remembered_is_bounded_and_nothing_new_is_called_known(
    happenings: list[tuple[Any, ...]], most: int
) -> None:
    """Whatever is forgotten, a first arrival is fresh, and what is missing is counted somewhere."""
    stream, plain = Stream(0, most), Plain(0)
    for what in happenings:
        found, right = _happen(stream, what), _happen(plain, what)
        assert found == right or (found is News.FRESH and right is not None) or found is News.BETTER
        assert right is not News.FRESH or found is News.FRESH
        for spans in (stream._arrived, stream._sure, stream._declared):
            assert len(spans) <= most
        assert _numbers_of(stream.gaps()) <= plain.missing
        assert stream.floor is not None
        below = {seq for seq in plain.missing if seq <= stream.floor}
        assert stream.unjudged >= len(below)


@given(_happenings, st.integers(1, 20), st.integers(1, 5))
def test_replays_cover_every_gap_and_are_coarse(
    happenings: list[tuple[Any, ...]], most: int, reach: int
) -> None:
    stream = Stream(0)
    for what in happenings:
        _happen(stream, what)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("edge_agent.contract.stream.REACH", reach)
        asked = list(stream.replays(most))
    gaps = _numbers_of(stream.gaps())
    assert gaps <= _numbers_of(asked)
    assert all(first in gaps and last in gaps and last - first < most for first, last in asked)
    assert all(
        after[0] - before[1] > reach or after[0] - before[0] >= most for before, after in pairwise(asked)
    )
    assert all(before[1] < after[0] for before, after in pairwise(asked))


def test_each_reading_is_fresh_once_and_better_once() -> None:
    follower = Follower()
    first = follower.hear(topic("data"), data([1, 2], 0, "unsynchronised"), NOW)
    again = follower.hear(topic("data"), data([1, 2], 0, "unsynchronised"), NOW)
    mended = follower.hear(topic("history"), data([1, 2, 3], 2, "repaired", lane="history"), NOW)
    late = follower.hear(topic("data"), data([1], 0, "unsynchronised"), NOW)
    assert [reading.seq for reading in first.fresh] == [1, 2]
    assert (again.fresh, again.better, again.again) == ((), (), 2)
    assert ([one.seq for one in mended.fresh], [one.seq for one in mended.better]) == ([3], [1, 2])
    assert (late.fresh, late.better, late.again) == ((), (), 1)
    counts = follower.counts
    assert (counts.readings, counts.again, counts.better, counts.missing) == (3, 3, 2, 0)


def test_a_gap_is_named_asked_for_and_closed() -> None:
    follower = Follower()
    follower.hear(topic("data"), data([101], 100), NOW)
    assert list(follower.streams[KEY].gaps()) == [], "what was settled before is not missing"
    follower.hear(topic("data"), data([2105], 2104), NOW)
    assert list(follower.streams[KEY].gaps()) == [(102, 2104)]
    assert list(follower.streams[KEY].replays()) == [(102, 2104)]
    assert list(follower.streams[KEY].replays(1500)) == [(102, 1601), (1602, 2104)]
    follower.hear(topic("history"), data(range(102, 2100), 2105, lane="history"), NOW)
    follower.hear(topic("loss"), loss(2000, 2104), NOW)
    counts = follower.counts
    assert (counts.missing, counts.closed, counts.lost) == (0, 2003, 5)


def test_what_a_gateway_has_no_more_is_lost() -> None:
    follower = Follower(from_start=True)
    follower.hear(topic("data"), data([20], 19), NOW)
    follower.unavailable(KEY, 1, 9)
    assert list(follower.streams[KEY].replays()) == [(10, 19)]
    assert (follower.counts.missing, follower.counts.lost) == (10, 9)


def test_a_number_above_settled_is_on_its_way() -> None:
    follower = Follower(from_start=True)
    follower.hear(topic("data"), data([9], 0), NOW)
    follower.hear(topic("loss"), loss(5, 6), NOW)
    counts = follower.counts
    assert (counts.missing, counts.lost) == (0, 0), "and so is a loss that is not settled"


def test_a_loss_without_an_end_closes_the_epoch() -> None:
    follower = Follower(from_start=True)
    follower.hear(topic("data"), data([1, 2, 5], 2), NOW)
    follower.hear(topic("loss"), loss(3, None), NOW)
    stream = follower.streams[KEY]
    assert (stream.ended, stream.missing, stream.lost) == (3, 0, 0)
    stream.settle(6)
    assert (stream.missing, stream.lost) == (0, 3), "5 has arrived"


def test_what_was_sent_while_nobody_listened_is_not_judged() -> None:
    follower = Follower()
    follower.hear(topic("data"), data([1, 3], 0), NOW)
    follower.hear(topic("data"), data([4], 3), NOW)
    follower.rejoin()
    follower.hear(topic("data"), data([20], 18), NOW)
    follower.hear(topic("data"), data([22], 21), NOW)
    counts = follower.counts
    assert (list(follower.streams[KEY].gaps()), counts.unjudged) == ([(19, 19), (21, 21)], 1)


@pytest.mark.parametrize(
    ("told", "latest"),
    [
        ([("online", 3, "a"), ("offline", 2, "a")], ("online", 3, "a")),
        ([("online", 3, "a"), ("offline", 3, "a")], ("offline", 3, "a")),
        ([("online", 3, "a"), ("stopped", 3, "a"), ("online", 4, "a")], ("online", 4, "a")),
        ([("online", 3, "a"), ("online", 1, "b")], ("online", 1, "b")),
        ([("online", 3, "a"), ("online", 1, "b"), ("offline", 3, "a")], ("online", 1, "b")),
        ([("online", 3, "a"), ("offline", 1, "b")], ("offline", 1, "b")),
        ([("online", 9, "a"), ("online", 1, "b"), ("online", 9, "a"), ("offline", 9, "a")],
         ("offline", 9, "a")),
        ([("offline", 2, "a"), ("offline", 1, "a")], ("offline", 1, "a")),
    ],
)  # fmt: skip
def test_a_late_will_is_ignored(told: list[tuple[str, int, str]], latest: tuple[str, int, str]) -> None:
    follower = Follower()
    for state, session, epoch in told:
        follower.hear(topic("status"), status(state, session, epoch), NOW)
    said = follower.gateways[GATEWAY].latest
    assert (said.state, said.session, said.epoch) == latest


def test_devices_are_known_until_they_are_cleared() -> None:
    follower = Follower()
    follower.hear(topic("state"), json.dumps(EXAMPLES["state"]["online"]).encode(), NOW)
    device = follower.devices[GATEWAY, DEVICE]
    assert (device.availability, device.model_extra) == ("online", {"power": 411.0, "energy_import": 1042.31})
    follower.hear(topic("state"), b"", NOW)
    follower.hear(topic("status"), status("online", 1), NOW)
    follower.hear(topic("status"), b"", NOW)
    assert (follower.devices, follower.gateways, follower.counts.refused) == ({}, {}, 0)


def test_every_example_is_understood_and_later_keys_are_ignored() -> None:
    follower = Follower()
    for kind in EXAMPLES.keys() - {"cmd", "reply"}:  # what others say to one another
        for example in EXAMPLES[kind].values():
            where = topic(kind, example.get("device", DEVICE))
            heard = follower.hear(where, json.dumps(example | {"added_later": [1]}).encode(), NOW)
            assert (heard.refused, heard.message is None) == ("", False)


@pytest.mark.parametrize(
    ("where", "payload", "why"),
    [
        (topic("data"), data([1], 0, schema="park.data/2"), "schema"),
        (topic("data"), data([1], 0, gateway="gw-02"), "gw-02"),
        (topic("data", "other"), data([1], 0), "meter-7"),
        (topic("data"), data([0], 0), "readings.0.seq"),
        (topic("data"), data([1], 0).replace(b'"seq": 1', b'"seq": "1"'), "readings.0.seq"),
        (topic("data"), b"{", "JSON"),
        (topic("data"), b"\xff", "JSON"),
        (topic("history"), b"\x1f\x8b", "packed and broken"),
        (topic("history"), pack(b"{}")[:-4], "packed and broken"),
        (topic("history"), pack(b"{}") + b"more", "packed and broken"),
        (topic("history"), pack(b" " * (MOST_BYTES + 1)), "too large"),
        (topic("history"), pack(b"{}"), "site"),
        (topic("loss"), loss(5, 4), "ends before"),
        (topic("data"), data([2**53], 0), "readings.0.seq: Input should be less than or equal to"),
        (topic("data"), data([1], 10**30), "settled"),
        (topic("data"), data([1], -1), "settled"),
        (topic("data"), data([1], 0).replace(b'"power": 1', b'"power": 1' + b"0" * 400), "values.power"),
        (topic("data"), data([1], 0).replace(b'"power": 1', b'"power": NaN'), "values.power"),
        (topic("data"), data([1], 0).replace(b'"power": 1', b'"power": ' + b"9" * 5000), "JSON"),
        (topic("loss"), loss(5, 2**60), "to_seq"),
        (topic("loss"), loss(5, 6, readings=10**20), "readings"),
        (topic("status"), status("online", 2**64), "session"),
        ("park/v1/east-park/gw-01/data", data([1], 0), "no topic"),
        ("other/park/v1/east-park/gw-01/data/meter-7", data([1], 0), "no topic"),
        ("park/v1/east-park/gw-01/cmd/replay", b"{}", "no topic"),
    ],
)
def test_what_is_not_of_the_contract_is_refused(where: str, payload: bytes, why: str) -> None:
    follower = Follower()
    assert why in follower.hear(where, payload, NOW).refused
    assert (follower.counts.refused, follower.streams) == (1, {})
    said = json.loads(json.dumps(summary(follower, None, NOW, judged=True)))
    assert "1 message refused" in line(said)


@settings(max_examples=300)
@given(st.sampled_from([topic(kind) for kind in EXAMPLES]), st.data())
def test_nothing_makes_it_fail(where: str, drawn: st.DataObject) -> None:
    """Any JSON, and the examples with any value at any key."""
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.just(10**4000) | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
    example = dict(next(iter(EXAMPLES[where.split("/")[4]].values())))
    example[drawn.draw(st.sampled_from(sorted(example)))] = drawn.draw(anything)
    follower = Follower()
    for said in (example, drawn.draw(anything)):
        follower.hear(where, json.dumps(said).encode(), NOW)
    assert follower.counts.missing >= 0
    assert json.dumps(summary(follower, None, NOW, judged=True))


def test_old_epochs_are_forgotten_but_not_their_counts() -> None:
    follower = Follower(from_start=True)
    for epoch in range(20):
        follower.hear(topic("data"), data([3], 2, epoch=f"e{epoch}"), NOW)
    counts = follower.counts
    assert (len(follower.streams), counts.missing + counts.unjudged, counts.readings) == (4, 40, 20)


def test_rate_and_latency() -> None:
    follower = Follower()
    for second in range(10):
        seqs = range(second * 5 + 1, second * 5 + 6)
        follower.hear(topic("data"), data(seqs, 0), NOW + second * 1000)
    assert follower.readings.per_second(NOW + 9_999) == 5
    assert follower.readings.per_second(NOW + 9_000 + 60_000) == 0
    assert follower.latency.percentile(0) == -5
    assert follower.latency.percentile(99) == 9000 - 46
