"""Gaps are asked for coarsely, one request at a time, less and less where that does not help."""

import json
from itertools import pairwise
from typing import Any

import pytest

from edge_agent.contract.commands import ReplayArgs
from edge_agent.contract.follow import Follower
from edge_agent.contract.mending import Ask, Mending
from edge_agent.contract.messages import CmdMessage
from tests.contract.told import DEVICE, EPOCH, GATEWAY, NOW, SITE, data, status, topic

ASKED = f"park/v1/{SITE}/{GATEWAY}/cmd/replay"
ANSWERED = f"park/v1/{SITE}/{GATEWAY}/reply/replay"


class Talk:
    """A consumer that misses the numbers 1 to ``settled``, and its clock."""

    def __init__(self, settled: int, device: str = DEVICE) -> None:
        self.at = NOW
        self.follower = Follower(from_start=True)
        self.mending = Mending(self.follower, "ingest-1")
        self.arrive([settled + 1], settled, device)

    def arrive(self, seqs: Any, settled: int, device: str = DEVICE, **more: Any) -> None:
        self.follower.hear(topic("data", device), data(seqs, settled, device=device, **more), self.at)

    def later(self, seconds: float) -> list[CmdMessage]:
        """Let time pass; return what is asked meanwhile, looking once a second."""
        asks: list[Ask] = []
        end = self.at + int(seconds * 1000)
        while self.at < end:
            self.at += 1000
            asks += self.mending.due(self.at)
        assert {ask.topic for ask in asks} <= {ASKED, ASKED.replace(GATEWAY, "gw-02")}
        return [CmdMessage.model_validate_json(ask.payload) for ask in asks]

    def answer(self, command: CmdMessage, gateway: str = GATEWAY, **said: Any) -> bool:
        told = {
            "schema": "park.reply/1",
            "site": SITE,
            "gateway": gateway,
            "id": command.id,
            "name": "replay",
        }
        payload = json.dumps(told | {"status": "ok", "ts": self.at} | said).encode()
        return self.mending.hear(ANSWERED.replace(GATEWAY, gateway), payload, self.at)


def _range(command: CmdMessage) -> tuple[int, int]:
    args = ReplayArgs.model_validate(command.args)
    assert (args.device, args.epoch) == (DEVICE, EPOCH)
    return args.from_seq, args.to_seq


def _comes(to_seq: int, queued: int = 1, **more: Any) -> dict[str, Any]:
    return {"result": {"to_seq": to_seq, "queued": queued, "unavailable": [], "pending": []} | more}


def test_a_gap_is_asked_for_when_it_is_a_few_seconds_old_and_once() -> None:
    talk = Talk(700)
    assert talk.later(4) == []
    (asked,) = talk.later(10)
    assert _range(asked) == (1, 700)
    assert asked.deadline is not None
    assert 0 < asked.deadline - talk.at <= 60_000
    assert talk.answer(asked, **_comes(700, 700))
    assert talk.later(10) == [], "it is on its way"
    talk.arrive(range(1, 701), 701, lane="history")
    talk.later(1)
    assert (talk.mending.open, talk.mending.asked, talk.follower.counts.missing) == (0, 1, 0)


def test_a_gap_that_fills_by_itself_is_not_asked_for() -> None:
    talk = Talk(100)
    for seq in range(1, 101):
        assert talk.later(3) == []
        talk.arrive([seq], 100)
    assert talk.later(60) == []


def test_a_long_gap_is_asked_for_piece_by_piece() -> None:
    talk = Talk(25_000)
    ranges = []
    for _ in range(3):
        (asked,) = talk.later(7)
        first, last = _range(asked)
        ranges.append((first, last))
        talk.answer(asked, **_comes(last, 9))
        talk.arrive(range(first, last + 1), 25_001)
    assert ranges == [(1, 10_000), (10_001, 20_000), (20_001, 25_000)]
    assert talk.later(60) == []


def test_what_is_gone_is_lost_and_the_answer_may_stop_early() -> None:
    talk = Talk(5000)
    (asked,) = talk.later(7)
    talk.answer(asked, **_comes(3000, 2990, unavailable=[[1, 10, "gone"], [1, 99_999, "forged"]]))
    assert talk.follower.counts.lost == 10
    talk.arrive(range(11, 3001), 5001)
    (asked,) = talk.later(7)
    assert _range(asked) == (3001, 5000)


def test_what_comes_no_further_is_asked_for_again_less_and_later() -> None:
    talk = Talk(8000)
    asked_at, sizes = [], []
    for _ in range(6):
        commands: list[CmdMessage] = []
        while not commands:
            commands = talk.later(1)
        (asked,) = commands
        first, last = _range(asked)
        asked_at.append(talk.at)
        sizes.append(last - first + 1)
        talk.answer(asked, **_comes(last, last - first + 1))
    waits = [(later - before) // 1000 for before, later in pairwise(asked_at)]
    assert sizes == [8000, 5000, 2500, 1250, 625, 500]
    assert waits == sorted(waits)
    assert waits[-1] > 4 * (waits[0] - 20)
    assert talk.mending.hopeful


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"status": "rejected", "reason": "not_allowed"}, "rejected: not_allowed"),
        ({"status": "expired", "reason": "deadline"}, "expired: deadline"),
        ({"status": "error", "reason": "there is no device meter-7"}, "no device"),
        ({"result": {"to_seq": "many"}}, "not of the contract"),
        ({"status": "ok"}, "not of the contract"),
        (None, "no answer"),
    ],
)
def test_a_gateway_that_sends_nothing_is_named_and_asked_less_and_less(said: Any, why: str) -> None:
    talk, asked = Talk(10), 0
    for _ in range(3600):
        for command in talk.later(1):
            asked += 1
            if said is not None:
                assert talk.answer(command, **said)
    assert why in talk.mending.problems[GATEWAY]
    assert 5 < asked < 20
    assert not talk.mending.hopeful
    talk.arrive(range(1, 11), 11)
    talk.later(1)
    assert talk.mending.problems == {}


def test_a_broker_that_refuses_the_request_is_a_reason() -> None:
    talk = Talk(10)
    assert talk.later(7)
    talk.mending.refused(ASKED, "Not authorized", talk.at)
    assert talk.mending.problems == {GATEWAY: f"{ASKED}: Not authorized"}
    assert talk.mending.open == 0


def test_what_is_pending_comes_by_itself() -> None:
    talk = Talk(10)
    (asked,) = talk.later(7)
    talk.answer(asked, **_comes(10, 0, pending=[[1, 10]]))
    assert (talk.mending.open, talk.mending.problems) == (0, {})
    assert talk.later(2) == []


def test_a_gateway_that_is_away_is_not_asked() -> None:
    talk = Talk(10)
    talk.follower.hear(topic("status"), status("offline", 1), talk.at)
    assert talk.later(60) == []
    talk.follower.hear(topic("status"), status("online", 2), talk.at)
    assert len(talk.later(2)) == 1


def test_a_clock_that_is_set_back_and_a_gateway_that_is_cleared_stop_nothing() -> None:
    talk = Talk(10)
    talk.follower.hear(topic("status"), status("online", 1), talk.at)
    talk.later(3)
    talk.at -= 86_400_000
    talk.follower.hear(topic("status"), b"", talk.at)
    assert len(talk.later(7)) == 1
    talk.at -= 86_400_000
    assert talk.later(10) == []
    assert talk.later(30), "it was not answered, and is asked for again"


def test_answers_to_others_and_nonsense_are_not_ours() -> None:
    talk = Talk(10)
    (asked,) = talk.later(7)
    assert not talk.answer(asked.model_copy(update={"id": "ingest-2.1"}), **_comes(10))
    assert not talk.answer(asked, gateway="gw-02", **_comes(10))
    assert not talk.mending.hear(ANSWERED, b"\xff{", talk.at)
    assert (talk.mending.open, talk.follower.counts.lost) == (1, 0)


def test_few_requests_are_open_and_each_gateway_has_its_turn() -> None:
    talk = Talk(10)
    talk.arrive([11], 10, "room-2")
    for number in range(2, 12):
        place = f"park/v1/{SITE}/gw-{number:02}/data/{DEVICE}"
        talk.follower.hear(place, data([11], 10, gateway=f"gw-{number:02}"), talk.at)
    asked: list[Ask] = []
    for _ in range(120):
        talk.at += 1000
        asked += talk.mending.due(talk.at)
        assert talk.mending.open <= 4
    assert {ask.topic.split("/")[3] for ask in asked} == {f"gw-{number:02}" for number in range(1, 12)}
