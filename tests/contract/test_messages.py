"""The models of the contract: its examples fit them, and what a consumer could trip over does not."""

import json

import pytest
from pydantic import BaseModel, ValidationError

from edge_agent.contract import messages

_EXAMPLES = {
    "StatusMessage": """{"schema":"park.status/1","site":"east-park","gateway":"gw-01","state":"online",
        "session":312,"ts":1795366800000,"epoch":"k7f2","version":"1.0.0","backlog":1840}""",
    "MetaMessage": """{"schema":"park.meta/1","site":"east-park","gateway":"gw-01","device":"meter-7",
        "hash":"9c1f02ab","name":"Hall B feed","model":"Eastron SDM120","channels":{
        "power":{"quantity":"power","unit":"W","kind":"gauge","interval_s":10.0},
        "energy_import":{"quantity":"energy_import","unit":"kW.h","kind":"counter"}}}""",
    "DataMessage": """{"schema":"park.data/1","site":"east-park","gateway":"gw-01","device":"meter-7",
        "epoch":"k7f2","lane":"live","settled":48212,"meta":"9c1f02ab",
        "readings":[{"seq":48213,"ts":1795366800000,"values":{"power":412.5,"energy_import":1042.31}},
        {"seq":48214,"ts":1795366810000,"values":{"power":411.0,"energy_import":1042.31},
        "quality":{"power":["suspect","above_plausible"]}}]}""",
    "StateMessage": """{"schema":"park.state/1","gateway":"gw-01","device":"meter-7","ts":1795366810000,
        "availability":"online","since":1795300000000,"power":411.0,"energy_import":1042.31}""",
    "LossMessage": """{"schema":"park.loss/1","site":"east-park","gateway":"gw-01","device":"meter-7",
        "epoch":"k7f2","seq":17,"from_seq":40001,"to_seq":40120,"readings":120,"from_ts":1795357800000,
        "to_ts":1795365000000,"reason":"capacity"}""",
}


@pytest.mark.parametrize("name", _EXAMPLES)
def test_the_examples_of_the_contract_fit(name: str) -> None:
    model: type[messages.Message] = getattr(messages, name)
    example = json.loads(_EXAMPLES[name])
    made = model.model_validate(example)
    assert json.loads(made.payload()) == example


@pytest.mark.parametrize("name", _EXAMPLES)
def test_an_unknown_key_is_an_error_of_ours(name: str) -> None:
    model: type[BaseModel] = getattr(messages, name)
    example = json.loads(_EXAMPLES[name])
    if model is messages.StateMessage:  # its channels are keys
        return
    with pytest.raises(ValidationError, match="extra"):
        model.model_validate(example | {"surprise": 1})


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("StatusMessage", "site", "East Park"),
        ("StatusMessage", "gateway", "a/b"),
        ("StatusMessage", "gateway", "+"),
        ("StatusMessage", "gateway", "gw\n"),
        ("StatusMessage", "gateway", "x" * 64),
        ("StatusMessage", "state", "late"),
        ("StatusMessage", "ts", -1),
        ("StatusMessage", "schema", "park.status/2"),
        ("DataMessage", "lane", "backlog"),
        ("DataMessage", "readings", [{"seq": 0, "ts": 1, "values": {}}]),
        ("DataMessage", "readings", [{"seq": 1, "ts": 1, "values": {"power": None}}]),
        ("DataMessage", "readings", [{"seq": 1, "ts": 1, "values": {"power": [1]}}]),
        ("DataMessage", "readings", [{"seq": 1, "ts": 1, "values": {}, "quality": {"power": ["good", ""]}}]),
        ("DataMessage", "readings", [{"seq": 1, "ts": 1, "values": {}, "clock": "synchronised"}]),
        ("LossMessage", "reason", "unknown"),
        ("StateMessage", "availability", "stopped"),
    ],
)
def test_what_a_consumer_would_trip_over_is_refused(name: str, key: str, value: object) -> None:
    model: type[BaseModel] = getattr(messages, name)
    with pytest.raises(ValidationError):
        model.model_validate(json.loads(_EXAMPLES[name]) | {key: value})


def test_an_open_end_of_a_loss_is_said() -> None:
    """null has a meaning there: it must not be left out as elsewhere."""
    loss = messages.LossMessage.model_validate(
        json.loads(_EXAMPLES["LossMessage"]) | {"to_seq": None, "readings": None}
    )
    assert (loss.to_seq, loss.readings) == (None, None)


def test_the_reserved_names_of_a_state_are_its_own_keys() -> None:
    own = {field.alias or name for name, field in messages.StateMessage.model_fields.items()}
    assert own == messages.RESERVED_CHANNELS
