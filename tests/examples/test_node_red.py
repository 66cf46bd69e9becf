"""The flow for Node-RED: its function, run by node as Node-RED would, passes each reading on once."""

import json
import subprocess
from pathlib import Path
from typing import Any

from edge_agent.contract.examples import EXAMPLES
from tests.peers.npm import node

FOLDER = Path(__file__).parents[2] / "examples" / "node-red"
FLOW: list[dict[str, Any]] = json.loads((FOLDER / "flow.json").read_text("utf-8"))
_RUN = """
const { code, told } = JSON.parse(require("fs").readFileSync(0));
const kept = new Map(), context = { get: (key) => kept.get(key), set: (key, value) => kept.set(key, value) };
const once = new Function("msg", "context", code);
console.log(JSON.stringify(told.flatMap((payload) => once({ payload }, context)[0])));
"""


def passed_on(*told: dict[str, Any]) -> list[dict[str, Any]]:
    (function,) = [one for one in FLOW if one["type"] == "function"]
    given = json.dumps({"code": function["func"], "told": told})
    done = subprocess.run(
        [node(), "-e", _RUN], input=given, capture_output=True, text=True, timeout=60, check=True
    )
    out: list[dict[str, Any]] = json.loads(done.stdout)
    return out


def test_each_reading_is_passed_on_once() -> None:
    for message in EXAMPLES["data"].values():
        found = passed_on(message, message)
        assert [one["payload"] for one in found] == [one["values"] for one in message["readings"]]
        assert {one["topic"] for one in found} == {
            f"{message['site']}/{message['gateway']}/{message['device']}"
        }


def test_a_time_that_was_not_known_is_replaced_and_nothing_else() -> None:
    (message,) = [one for one in EXAMPLES["history"].values() if len(one["readings"]) > 1]
    first = dict(message["readings"][0], clock="unsynchronised")
    repaired = dict(first, ts=first["ts"] + 5, clock="repaired")
    told = [dict(message, readings=[one]) for one in (first, repaired, first, repaired)]
    assert [(one["ts"], one["known"]) for one in passed_on(*told)] == [
        (first["ts"], False),
        (first["ts"] + 5, True),
    ]


def test_it_subscribes_to_what_the_contract_says_is_readings() -> None:
    heard = [one for one in FLOW if one["type"] == "mqtt in"]
    assert [(one["topic"], one["qos"]) for one in heard] == [
        ("park/v1/+/+/data/#", "1"),
        ("park/v1/+/+/history/#", "1"),
    ]
    ids = {one["id"] for one in FLOW}
    assert all(end in ids for one in FLOW for ends in one.get("wires", []) for end in ends)
