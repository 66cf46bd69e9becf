"""Lanes deal rows into messages: contiguous, of one stream and description, in order, each row once."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.row import Row, runs
from edge_agent.uplink.lane import MOST_ROWS, Lane
from edge_agent.uplink.log_scan import LogScan

_BODY = b"[1.5]"


def _row(id_: int, stream: int, seq: int, meta: int = 1, body: bytes = _BODY) -> Row:
    return Row(id_, stream, seq, 1, 1000 * id_, meta, body, 0)


def _lane(*rows: Row) -> Lane:
    lane = Lane({1: 40, 2: 40})
    lane.add(runs(rows))
    return lane


def _all(lane: Lane, room: int = 10**9) -> list[list[tuple[int, int]]]:
    taken = []
    while lane.waiting:
        first = lane.first()
        run = lane.take(room)
        assert run.rows[0] == first
        taken.append([(row.stream, row.seq) for row in run.rows])
    return taken


def test_one_stream_goes_out_together() -> None:
    assert _all(_lane(*(_row(n, 1, n) for n in (1, 2, 3)))) == [[(1, 1), (1, 2), (1, 3)]]


def test_a_gap_begins_a_new_message() -> None:
    assert _all(_lane(_row(1, 1, 1), _row(2, 1, 3), _row(3, 1, 4))) == [[(1, 1)], [(1, 3), (1, 4)]]


def test_a_gap_in_which_nothing_is_owed_lies_inside_a_message() -> None:
    rows = [_row(1, 1, 1), _row(2, 1, 3), _row(3, 1, 7)]
    lane = Lane({1: 40}, lambda stream, first, last: (stream, first, last) != (1, 2, 2))
    lane.add(runs(rows))
    assert _all(lane) == [[(1, 1), (1, 3)], [(1, 7)]]


def test_a_number_that_comes_again_begins_a_new_message() -> None:
    assert _all(_lane(_row(1, 1, 1), _row(1, 1, 1))) == [[(1, 1)], [(1, 1)]]


def test_a_new_description_begins_a_new_message() -> None:
    assert _all(_lane(_row(1, 1, 1), _row(2, 1, 2, meta=2))) == [[(1, 1)], [(1, 2)]]


def test_streams_take_turns() -> None:
    rows = [_row(n, 1, n, meta=1 + n % 2) for n in range(1, 4)] + [_row(9, 2, 1)]
    assert _all(_lane(*rows)) == [[(1, 1)], [(2, 1)], [(1, 2)], [(1, 3)]]


def test_a_row_larger_than_the_room_goes_alone() -> None:
    lane = _lane(_row(1, 1, 1, body=b"x" * 5000), _row(2, 1, 2))
    assert _all(lane, room=100) == [[(1, 1)], [(1, 2)]]


def test_a_message_has_a_bound_in_rows() -> None:
    assert len(_lane(*(_row(n, 1, n) for n in range(1, 9))).take(10**9, most=3).rows) == 3
    sizes = [len(rows) for rows in _all(_lane(*(_row(n, 1, n) for n in range(1, MOST_ROWS + 2))))]
    assert sizes == [MOST_ROWS, 1]


def test_an_empty_lane() -> None:
    lane = _lane()
    assert lane.low_water() is None
    assert lane.waiting == 0


def test_clear_forgets_all() -> None:
    lane = _lane(_row(1, 1, 1), _row(2, 2, 1))
    lane.clear()
    assert (lane.waiting, lane.low_water()) == (0, None)


_ROWS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(2, 300)))


@given(_ROWS, st.integers(1, 2000))
def test_each_row_goes_out_once_and_in_order(shape: list[tuple[int, int, int, int]], room: int) -> None:
    seqs: dict[int, int] = defaultdict(int)
    rows = []
    for id_, (stream, gap, meta, size) in enumerate(shape, 1):
        seqs[stream] += 1 + gap
        rows.append(_row(id_, stream, seqs[stream], meta, b"x" * size))
    lane = _lane(*rows)
    left = {row.id for row in rows}
    taken: list[Row] = []
    while lane.waiting:
        assert lane.waiting == len(left)
        assert lane.low_water() == min(left)
        run = lane.take(room)
        assert {row.stream for row in run.rows} == {run.stream}
        assert len({row.meta for row in run.rows}) == 1
        assert [row.seq for row in run.rows] == list(range(run.first, run.last + 1))
        assert len(run.rows) == 1 or sum(len(row.body) for row in run.rows) <= room
        left -= {row.id for row in run.rows}
        taken += run.rows
    assert left == set()
    for stream in seqs:
        assert [row for row in taken if row.stream == stream] == [row for row in rows if row.stream == stream]


def test_the_scan_of_the_log() -> None:
    backlog = LogScan()
    assert not backlog.more
    backlog.begin(5, 9)
    assert (backlog.cursor, backlog.more) == (5, True)
    backlog.advance([_row(5, 1, 1), _row(7, 1, 2)], 9)
    assert (backlog.cursor, backlog.more) == (8, True)
    backlog.advance([], 9)
    assert (backlog.cursor, backlog.more) == (10, False)
    backlog.extend(12)
    assert (backlog.cursor, backlog.more) == (10, True)


def test_a_scan_that_is_extended_while_it_reads_skips_nothing() -> None:
    backlog = LogScan()
    backlog.begin(5, 9)
    backlog.extend(12)
    backlog.advance([], 9)  # the piece that was asked for before had nothing
    assert (backlog.cursor, backlog.more) == (10, True)


def test_what_is_put_back_waits_in_its_old_place() -> None:
    """Refusals come in the order of sending; what is put back last must not stand before the rest."""
    lane = _lane(*(_row(n, 1, n) for n in range(1, 10)))
    for run in [lane.take(10**9, most=3) for _ in range(2)]:
        lane.put_back(run)
    assert lane.low_water() == 1
    assert lane.waiting == 9
    assert _all(lane) == [[(1, n) for n in range(1, 10)]]
