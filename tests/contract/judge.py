"""What other people's tools find in the contract and in messages."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_agent.contract.messages import RESERVED_CHANNELS
from edge_agent.contract.topics import TOPICS
from tests.peers.npm import HERE, node

DOCUMENTS = Path(__file__).parents[2] / "docs" / "contract"


def faults(messages: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return what ajv finds in each message, by the schema that the message names."""
    told = _judge("messages", DOCUMENTS / "schemas", "\n".join(map(json.dumps, messages)))
    assert len(told) == len(messages)
    return told


def document_faults() -> list[Any]:
    """Return what the AsyncAPI parser finds in the document: errors and warnings."""
    return _judge("asyncapi", DOCUMENTS / "asyncapi.yaml", "")


def _judge(what: str, where: Path, said: str) -> list[Any]:
    done = subprocess.run(
        [node(), str(HERE / "contract_judge.js"), what, str(where)],
        input=said, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def schema_of(topic: str) -> Path:
    """Return the schema of what a topic carries."""
    name = next(each.message for each in TOPICS if each.name == topic).model_fields["schema_"].default
    return DOCUMENTS / "schemas" / f"{name.removeprefix('park.').partition('/')[0]}.schema.json"


def check_jsonschema(*words: str) -> str:
    """Return what check-jsonschema complains of, "" where it does not."""
    program = shutil.which("check-jsonschema", path=Path(sys.executable).parent)
    assert program, "run make install"
    done = subprocess.run([program, *words], check=False, capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _required(topic: str) -> set[str]:
    model = next(each.message for each in TOPICS if each.name == topic)
    return {field.alias or name for name, field in model.model_fields.items() if field.is_required()}


def broken(topic: str, example: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give a message with each key missing that must be there, and with each value of a wrong type."""
    required = _required(topic)
    for key in required:
        yield f"no {key}", {name: value for name, value in example.items() if name != key}
    for key in required & {"site", "gateway", "device"}:
        yield f"{key} is no id", example | {key: "East Park"}
    for path in _paths(example):
        if path == ("schema",) or (example["schema"] == "park.state/1" and path[0] not in RESERVED_CHANNELS):
            continue  # the first says which schema judges, the others are channels
        if path[0] in {"args", "result"} and len(path) > 1:
            continue  # these are the command's own, and the gateway judges them
        changed = json.loads(json.dumps(example))
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = [[]]
        yield f"{path} is a list in a list", changed


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (step,)
        yield from ((step, *rest) for rest in _paths(inner))
