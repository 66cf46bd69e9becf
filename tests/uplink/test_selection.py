"""What an uplink selects, and what becomes of a description of which not every channel is sent."""

import json
from typing import Any

import pytest

from edge_agent.contract.messages import DataMessage, MetaMessage
from edge_agent.row import Moment, Row, Run
from edge_agent.settings.uplink import Send
from edge_agent.uplink.payload import Description, Envelope, encode, known_values
from edge_agent.uplink.selection import narrowed, passing, selects

CHANNELS = ("power", "voltage_l1", "voltage_l2")
BODY = json.dumps(
    {
        "schema": "park.meta/1", "site": "s", "gateway": "g", "device": "d", "hash": "9c1f02ab",
        "channels": {name: {"quantity": "power", "unit": "W", "kind": "gauge"} for name in CHANNELS},
    }
)  # fmt: skip
ENVELOPE = Envelope("s", "g", "d", "k7f2", "live")


@pytest.mark.parametrize(
    ("send", "on"),
    [
        ({}, True),
        ({"devices": ["meter-*"]}, True),
        ({"devices": ["door-*"]}, False),
        ({"devices": ["door-*", "*-7"]}, True),
        ({"devices": ["METER-7"]}, False),
        ({"without": ["meter-?"]}, False),
        ({"without": ["meter-8"]}, True),
        ({"labels": {"tenant": "hall-b"}}, True),
        ({"labels": {"tenant": "hall-b", "floor": "1"}}, True),
        ({"labels": {"tenant": "hall-b", "floor": "2"}}, False),
        ({"labels": {"owner": "hall-b"}}, False),
        ({"devices": ["meter-*"], "labels": {"tenant": "hall-c"}}, False),
        ({"channels": ["voltage*"]}, True),
        ({"channels": ["current*"]}, False),
        ({"without_channels": ["voltage*"]}, True),
        ({"without_channels": ["voltage*", "power"]}, False),
    ],
)
def test_a_device_is_on_an_uplink_by_id_by_label_and_with_a_channel(send: dict[str, Any], on: bool) -> None:  # noqa: FBT001 - a parameter
    labels = {"tenant": "hall-b", "floor": "1"}
    assert selects(Send.model_validate(send), "meter-7", labels, CHANNELS) is on


def test_a_description_of_which_all_is_sent_stays_as_it_is() -> None:
    assert narrowed("9c1f02ab", BODY, passing(Send())) == ("9c1f02ab", BODY)
    assert narrowed("9c1f02ab", BODY, passing(Send(channels=("power", "voltage*")))) == ("9c1f02ab", BODY)


def test_a_description_of_which_a_part_is_sent_has_a_hash_of_its_own() -> None:
    hash_, body = narrowed("9c1f02ab", BODY, passing(Send(without_channels=("voltage*",))))
    meta = MetaMessage.model_validate_json(body)
    assert list(meta.channels) == ["power"]
    assert meta.hash == hash_ != "9c1f02ab"
    assert len(hash_) == 8
    assert narrowed("9c1f02ab", BODY, passing(Send(channels=("power",)))) == (hash_, body)
    assert narrowed("9c1f02ab", BODY, passing(Send(channels=("volt*",))))[0] != hash_
    assert narrowed("9c1f02ab", BODY.replace('"W"', '"kW"'), passing(Send(channels=("power",))))[0] != hash_


def sent(send: Send, body: bytes, clock: Any = "") -> tuple[DataMessage, dict[str, object]]:
    description = Description.parse("9c1f02ab", BODY, passing(send))
    row = Row(1, 1, 7, 1, 5, 1, body, 0)
    payload = encode(
        ENVELOPE, 6, description, Run([row]), lambda _boot, _mono: Moment(5, clock), None if clock else 0
    )
    return DataMessage.model_validate_json(payload), known_values(description, row)


@pytest.mark.parametrize("clock", ["", "repaired"])
def test_what_is_left_out_is_absent_from_values_quality_and_state(clock: str) -> None:
    send = Send(channels=("voltage_l2", "power"))
    for body in (b"[1.5,2,3]", b'{"v":[1.5,2,3],"q":{}}'):
        message, state = sent(send, body, clock)
        assert message.readings[0].values == state == {"power": 1.5, "voltage_l2": 3}
        assert message.meta == narrowed("9c1f02ab", BODY, passing(send))[0]
    message, state = sent(send, b'{"v":[null,2,3],"q":{"power":["bad","x"],"voltage_l1":["bad","x"]}}', clock)
    assert message.readings[0].values == state == {"voltage_l2": 3}
    assert message.readings[0].quality == {"power": ("bad", "x")}
    message, _ = sent(send, b'{"v":[1,null,3],"q":{"voltage_l1":["bad","x"]}}', clock)
    assert message.readings[0].quality is None


def test_a_reading_of_which_nothing_is_left_is_still_sent() -> None:
    """Debts of a device that was on the uplink before: the numbers stay without a hole."""
    message, state = sent(Send(channels=("current",)), b"[1.5,2,3]")
    assert (message.readings[0].seq, message.readings[0].values, state) == (7, {}, {})
