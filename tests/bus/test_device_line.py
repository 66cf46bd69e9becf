"""What the line knows of its devices: whose turn it is, who is asked again, what may still come."""

import asyncio
from typing import Any

import pytest

from edge_agent.bus.device_line import DeviceLine
from edge_agent.bus.echo import PastEcho
from edge_agent.bus.framing import Framer
from edge_agent.bus.modbus import answer_cut, request
from edge_agent.bus.overheard import Overheard
from edge_agent.bus.pending_answers import Exchange, PendingAnswers
from edge_agent.bus.turn_queue import TurnQueue
from edge_agent.bus.utilisation import Utilisation
from edge_agent.driver import Frame, Garbled, Need, NoAnswer, Read, Skip


def four(heard: bytes) -> Frame | Need:
    return Frame(4) if len(heard) >= 4 else Need(4)


def begins(with_: bytes) -> Any:
    def cut(heard: bytes) -> Frame | Need | Skip:
        if heard[: len(with_)] != with_[: len(heard)]:
            return Skip(1)
        return four(heard)

    return cut


class Script:
    """A line that answers as its script says."""

    retry_in = 0.0

    def __init__(self, *says: bytes | Exception) -> None:
        self.says = list(says)

    async def carry(self, _place: DeviceLine, _exchange: Exchange) -> bytes:
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


async def test_a_device_that_was_well_is_asked_once_more_and_one_that_fails_is_not() -> None:
    line = Script(
        b"first", NoAnswer(), b"second", Garbled(), NoAnswer(), Garbled(), b"third", NoAnswer(), b"fourth"
    )
    place = DeviceLine(line)
    heard: list[bytes | type[Exception]] = []
    while line.says:
        try:
            heard.append(await place.exchange(b"?", four, within=1))
        except (NoAnswer, Garbled) as fault:
            heard.append(type(fault))
    assert heard == [b"first", b"second", NoAnswer, Garbled, b"third", b"fourth"]


async def test_a_device_that_was_never_heard_costs_one_try() -> None:
    line = Script(NoAnswer(), b"answer")
    with pytest.raises(NoAnswer):
        await DeviceLine(line).exchange(b"?", four, within=1)
    assert line.says == [b"answer"]


async def test_who_was_due_first_goes_first_and_who_has_gone_does_not_hold_up() -> None:
    turns, went = TurnQueue(), list[str]()
    await turns.take(99)

    async def go(name: str, due: float) -> None:
        await turns.take(due)
        went.append(name)
        turns.give()

    going = [
        asyncio.create_task(go(name, due))
        for name, due in [("c", 3), ("a", 1), ("b", 2), ("a2", 1), ("d", 4)]
    ]
    await asyncio.sleep(0)
    going[2].cancel()
    turns.give()
    await asyncio.wait(going)
    assert went == ["a", "a2", "c", "d"]


async def test_a_turn_that_comes_together_with_the_cancelling_is_not_lost() -> None:
    turns = TurnQueue()
    await turns.take(0)
    waiting = asyncio.create_task(turns.take(1))
    await asyncio.sleep(0)
    turns.give()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(60):
        await turns.take(2)


def exchange(request: bytes, cut: Any = four) -> Exchange:
    return Exchange(request, cut, 1.0)


def test_after_silence_only_the_same_question_may_be_asked_at_once() -> None:
    pending = PendingAnswers()
    pending.sent("a", exchange(b"one"), 10, 12)
    assert pending.free_at("a", b"one") < 10
    assert pending.free_at("a", b"two") == 12
    assert pending.free_at("b", b"two") < 10
    pending.sent("a", exchange(b"one"), 11, 13)
    pending.answered("a")  # by either answer; the other may still come
    assert pending.free_at("a", b"two") == 13
    pending.forget(13)
    assert pending.free_at("a", b"two") < 10
    pending.sent("a", exchange(b"two"), 14, 16)
    pending.answered("a")
    assert pending.free_at("a", b"one") < 10


def test_what_another_is_owed_is_nobodys_and_is_asked_for_again_later() -> None:
    pending = PendingAnswers()
    pending.sent("a", exchange(b"?", begins(b"a")), 10, 12)
    pending.sent("b", exchange(b"?"), 11, 13)
    assert not pending.claimed("b", b"bbbb", 11)
    assert pending.claimed("b", b"aaaa", 11)
    assert pending.free_at("b", b"?") == 12
    assert not pending.claimed("b", b"aaaa", 12)


def test_what_another_cut_passes_over_is_not_claimed() -> None:
    """A cut that skips a whole frame returns what compares equal to finding it."""
    pending = PendingAnswers()
    pending.sent("a", exchange(b"?", lambda heard: Skip(len(heard))), 10, 12)
    assert not pending.claimed("b", b"bbbb", 11)


def test_another_masters_question_to_the_same_device_is_waited_out() -> None:
    ours, theirs = Read(5, "holding", 7, 2), Read(5, "holding", 50, 2)
    overheard = Overheard()
    overheard.add(request(theirs)[:3], 10.0)
    overheard.add(request(theirs)[3:], 10.1)
    assert overheard.answered_by(answer_cut(ours), 1.0, 10.2) == 11.1
    assert overheard.answered_by(answer_cut(Read(6, "holding", 7, 2)), 1.0, 10.2) == 10.2
    assert overheard.answered_by(answer_cut(ours), 1.0, 12.0) == 12.0


def test_an_echo_is_passed_over_once_wherever_it_begins() -> None:
    request, answer = b"\x05\x04ask?", b"\x05\x04yes"
    for said, frames in [
        (request + answer, [answer[:4]]),
        (b"\x00" + request + answer, [answer[:4]]),
        (answer, [answer[:4]]),
        (request, []),
    ]:
        cut = PastEcho(request, begins(b"\x05\x04"))
        framer = Framer(cut)
        found = [frame for byte in said for frame in framer.feed(bytes([byte]))]
        assert found == frames
        assert cut.heard == (request in said)


def test_the_share_of_a_busy_line() -> None:
    busy = Utilisation()
    assert busy.share(0) == 0
    for second in range(600):
        busy.add(second, second + 0.25)
    assert busy.share(600) == pytest.approx(0.25, abs=0.01)
    assert busy.share(660) == pytest.approx(0.25 / 2.718, abs=0.01)
    busy.add(700, 2000)
    assert busy.share(2000) == pytest.approx(1, abs=0.001)
