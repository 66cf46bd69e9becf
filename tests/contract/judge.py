"""What other people's tools find in the contract and in messages."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
