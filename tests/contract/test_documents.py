"""The documents under docs/contract are what the models say, and what other people's tools accept."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.contract.examples import EXAMPLES
from edge_agent.contract.export import documents
from edge_agent.contract.messages import RESERVED_CHANNELS
from edge_agent.contract.topics import TOPICS
from tests.contract.judge import DOCUMENTS, document_faults, faults

_ALL = [
    pytest.param(topic, name, id=f"{topic}-{name}")
    for topic, examples in EXAMPLES.items()
    for name in examples
]


def test_the_documents_are_what_is_exported(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["contract", "export", str(tmp_path)])
    assert done.exit_code == 0, done.output
    written = {path.relative_to(tmp_path): path.read_text("utf-8") for path in tmp_path.rglob("*.*")}
    kept = {path.relative_to(DOCUMENTS): path.read_text("utf-8") for path in DOCUMENTS.rglob("*.*")}
    assert kept == written, "run `edge-agent contract export docs/contract`, and clear away what is left over"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["contract", "export", str(tmp_path / "file" / "below")])
    assert done.exit_code == 2
    assert str(tmp_path / "file") in done.output


def test_each_topic_has_an_example() -> None:
    assert set(EXAMPLES) == {topic.name for topic in TOPICS}


@pytest.mark.parametrize(("topic", "name"), _ALL)
def test_the_models_accept_the_examples(topic: str, name: str) -> None:
    example = EXAMPLES[topic][name]
    model = next(each.message for each in TOPICS if each.name == topic)
    assert json.loads(model.model_validate(example).payload()) == example


def test_the_asyncapi_parser_finds_nothing() -> None:
    assert document_faults() == []


def test_ajv_accepts_the_examples() -> None:
    examples = [example for named in EXAMPLES.values() for example in named.values()]
    assert faults(examples) == [[]] * len(examples)


def test_check_jsonschema_accepts_the_examples() -> None:
    program = shutil.which("check-jsonschema", path=Path(sys.executable).parent)
    assert program, "run make install"
    for schema in sorted((DOCUMENTS / "schemas").iterdir()):
        subprocess.run([program, "--check-metaschema", schema], check=True, capture_output=True, timeout=60)
    for topic in TOPICS:
        schema = DOCUMENTS / "schemas" / f"{'data' if topic.name == 'history' else topic.name}.schema.json"
        files = sorted((DOCUMENTS / "examples" / topic.name).iterdir())
        done = subprocess.run(
            [program, "--schemafile", schema, *files],
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


def test_a_later_version_may_add_a_key() -> None:
    added = [example | {"added_later": 1} for named in EXAMPLES.values() for example in named.values()]
    assert faults(added) == [[]] * len(added)


def test_ajv_refuses_what_is_broken() -> None:
    broken = [
        (f"{topic} {name}: {what}", said)
        for topic, examples in EXAMPLES.items()
        for name, example in examples.items()
        for what, said in _broken(example, _required(topic))
    ]
    found = faults([said for _, said in broken])
    assert [what for (what, _), why in zip(broken, found, strict=True) if not why] == []


def _required(topic: str) -> set[str]:
    model = next(each.message for each in TOPICS if each.name == topic)
    return {field.alias or name for name, field in model.model_fields.items() if field.is_required()}


def _broken(example: dict[str, Any], required: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return an example with each key missing that must be there, and with each value of a wrong type."""
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


def test_the_documents_have_no_two_of_a_name() -> None:
    names = [name for name, _ in documents()]
    assert len(set(names)) == len(names)
