"""What may be carried out, decided from the bytes alone: nothing raises, and nothing odd is an order."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.commands import COMMANDS
from edge_agent.uplink.command_rules import MOST_BYTES, Order, Rates, Refused, Rules, judge, matches
from edge_agent.uplink.message import Incoming

BASE = "park/v1/east-park/gw-01"
RULES = Rules(BASE, tuple(COMMANDS), (f"{BASE}/reply/#",))
NOW = 1_795_366_800_000
GOOD: dict[str, Any] = {
    "schema": "park.cmd/1",
    "id": "a1",
    "name": "replay",
    "args": {"device": "meter-7", "epoch": "k7f2", "from_seq": 1, "to_seq": 9},
    "deadline": NOW + 1000,
}

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_names = st.sampled_from([*COMMANDS, "open-door", "", "a/b", "#", "PING", "\u0000"]) | st.text(max_size=40)


def _judged(message: Incoming, now: int | None = NOW) -> Order | Refused:
    judged = judge(message, RULES, now)
    topic = judged.reply_to.topic
    assert any(matches(topic, filter_) for filter_ in RULES.reply_filters), "answers stay where they may go"
    if isinstance(judged, Refused):
        assert judged.status in {"rejected", "expired"}
        assert judged.reason
    return judged


@given(topic=_names, payload=st.binary(max_size=200) | _json.map(lambda said: json.dumps(said).encode()))
def test_what_is_no_command_is_refused(topic: str, payload: bytes) -> None:
    assert isinstance(_judged(Incoming(f"{BASE}/cmd/{topic}", payload)), Refused)


@given(data=st.data())
def test_a_command_with_one_thing_changed_is_refused_or_as_good(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(list(GOOD)))
    value = data.draw(_json)
    judged = _judged(Incoming(f"{BASE}/cmd/replay", json.dumps(GOOD | {key: value}).encode()))
    if isinstance(judged, Order):
        assert key in {"id", "deadline"}
    elif key != "id":
        assert judged.id == "a1", "who asked with an id is answered"


@given(
    args=st.dictionaries(st.sampled_from(["device", "epoch", "from_seq", "to_seq", "level", "x"]), _json),
    name=st.sampled_from(list(COMMANDS)),
    response=st.none() | st.text(max_size=60) | st.sampled_from([f"{BASE}/reply/me", f"{BASE}/cmd/ping"]),
    expiry=st.none() | st.integers(0, 2**32 - 1),
    retained=st.booleans(),
    now=st.none() | st.integers(0, 2**53),
)
def test_an_order_has_all_that_it_needs(  # noqa: PLR0913, PLR0917 - all that a message has
    args: dict[str, Any],
    name: str,
    response: str | None,
    expiry: int | None,
    retained: bool,  # noqa: FBT001 - a plain fact
    now: int | None,
) -> None:
    said = GOOD | {"name": name, "args": args}
    payload = json.dumps(said).encode()
    judged = _judged(Incoming(f"{BASE}/cmd/{name}", payload, retained, expiry, response, b"c", 1), now)
    if isinstance(judged, Order):
        assert not retained
        assert isinstance(judged.args, COMMANDS[name])
        assert now is None or NOW + 1000 - 86_400_000 <= now + 1000 <= NOW + 2000
        assert now is not None or expiry is not None
        assert response in {None, judged.reply_to.topic}


def test_a_large_one_is_not_even_read() -> None:
    payload = json.dumps(GOOD | {"by": " " * MOST_BYTES}).encode()
    judged = _judged(Incoming(f"{BASE}/cmd/replay", payload))
    assert isinstance(judged, Refused)
    assert (judged.reason, judged.id) == ("too_large", "")


@pytest.mark.parametrize(
    ("topic", "filter_", "inside"),
    [
        ("a/b/c", "a/#", True),
        ("a", "a/#", True),
        ("a/b", "a/+", True),
        ("a/b/c", "a/+", False),
        ("ab", "a/#", False),
        ("a/+", "a/#", False),
        ("a/#", "a/#", False),
        ("$SYS/x", "$SYS/#", False),
        ("", "#", False),
        ("a/\0", "a/#", False),
    ],
)
def test_filters(topic: str, filter_: str, *, inside: bool) -> None:
    assert matches(topic, filter_) is inside


def test_all_rates_together_leave_ids_remembered_for_a_day() -> None:
    rates, taken = Rates(), 0
    for second in range(86_400):
        taken += sum(rates.allows(name, float(second)) for name in COMMANDS)
    assert 9_000 < taken < 10_000


@pytest.mark.parametrize("number", [2**53, 2**63, 10**30])
def test_a_number_that_no_reading_can_have_is_refused(number: int) -> None:
    """The file would not know what to do with it."""
    args = {**GOOD["args"], "to_seq": number}
    judged = _judged(Incoming(f"{BASE}/cmd/replay", json.dumps(GOOD | {"args": args}).encode()))
    assert isinstance(judged, Refused)
    assert judged.reason.startswith("args: to_seq")
