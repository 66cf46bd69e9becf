import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.bus.framing import Framer
from edge_agent.driver import Frame, Need, Skip

HEAD, TAIL = b"\xaa\xff", b"\x55\xcc"
GOOD = HEAD + b"\x03abc" + TAIL
NOISE = b"\x00\xaa\xaa\x13\xff\x55\xcc\xaa"


def cut(heard: bytes) -> Frame | Need | Skip:
    """Head, one byte of length, that many bytes, tail."""
    at = heard.find(HEAD)
    if at < 0:
        return Need(2) if heard == HEAD[:1] else Skip(len(heard) - heard.endswith(HEAD[:1]))
    if at:
        return Skip(at)
    if len(heard) < 3:
        return Need(3)
    whole = 3 + heard[2] + 2
    if len(heard) < whole:
        return Need(whole)
    return Frame(whole) if heard[whole - 2 : whole] == TAIL else Skip(1)


def test_byte_by_byte_with_garbage_before_between_and_after() -> None:
    framer = Framer(cut)
    sent = NOISE + GOOD + NOISE + GOOD + GOOD + b"\x00\x01"
    frames = [frame for byte in sent for frame in framer.feed(bytes([byte]))]
    assert frames == [GOOD] * 3
    assert framer.skipped == len(sent) - 3 * len(GOOD)


@given(st.lists(st.one_of(st.just(GOOD), st.binary(max_size=20))), st.lists(st.integers(1, 30)))
def test_how_bytes_arrive_changes_nothing(parts: list[bytes], sizes: list[int]) -> None:
    sent = b"".join(parts)
    at_once, in_pieces = Framer(cut), Framer(cut)
    frames, rest = [], sent
    for size in [*sizes, len(sent) + 1]:
        frames += in_pieces.feed(rest[:size])
        rest = rest[size:]
    assert frames == at_once.feed(sent)
    assert in_pieces.skipped == at_once.skipped


@pytest.mark.parametrize("stuck", [Need(0), Need(1), Need(5000), Skip(0), Skip(-1), Frame(0), Frame(9999)])
def test_a_cut_that_is_stuck_costs_one_byte(stuck: Frame | Need | Skip) -> None:
    def sometimes(heard: bytes) -> Frame | Need | Skip:
        return stuck if heard[0] == 0 else cut(heard)

    framer = Framer(sometimes)
    assert framer.feed(b"\x00\x00" + GOOD) == [GOOD]
    assert framer.skipped == 2


def test_a_claim_within_the_limit_waits_and_then_resyncs() -> None:
    framer = Framer(cut, limit=300)
    false = HEAD + b"\xf0"
    assert framer.feed(false + GOOD) == []
    assert framer.feed(GOOD * 40) == [GOOD] * 41
    assert framer.skipped == len(false)


def test_clear_forgets_a_half_frame() -> None:
    framer = Framer(cut)
    framer.feed(GOOD[:5])
    framer.clear()
    assert framer.feed(GOOD) == [GOOD]
    assert framer.skipped == 0


def test_long_garbage_costs_in_proportion() -> None:
    shown = 0

    def count(heard: bytes) -> Frame | Need | Skip:
        nonlocal shown
        shown += len(heard)
        return Skip(1)

    framer = Framer(count)
    framer.feed(bytes(100_000))
    assert framer.skipped == 100_000
    assert shown <= 64 * 100_000


def test_a_need_that_creeps_is_answered_in_strides() -> None:
    calls = 0

    def creep(heard: bytes) -> Frame | Need | Skip:
        nonlocal calls
        calls += 1
        return Frame(len(heard)) if heard.endswith(b"!") else Need(len(heard) + 1)

    assert Framer(creep).feed(b"x" * 2000 + b"!") == [b"x" * 2000 + b"!"]
    assert calls < 20
