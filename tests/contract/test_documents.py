"""The documents under docs/contract are what the models say, and what other people's tools accept."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.contract.examples import EXAMPLES
from edge_agent.contract.export import documents
from edge_agent.contract.topics import TOPICS
from tests.contract.judge import DOCUMENTS, broken, check_jsonschema, document_faults, faults, schema_of

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
    schemas = [str(schema) for schema in sorted((DOCUMENTS / "schemas").iterdir())]
    assert check_jsonschema("--check-metaschema", *schemas) == ""
    for topic in TOPICS:
        examples = [str(file) for file in sorted((DOCUMENTS / "examples" / topic.name).iterdir())]
        assert check_jsonschema("--schemafile", str(schema_of(topic.name)), *examples) == ""


def test_a_later_version_may_add_a_key() -> None:
    added = [example | {"added_later": 1} for named in EXAMPLES.values() for example in named.values()]
    assert faults(added) == [[]] * len(added)


def test_ajv_refuses_what_is_broken() -> None:
    wrong = [
        (f"{topic} {name}: {what}", said)
        for topic, examples in EXAMPLES.items()
        for name, example in examples.items()
        for what, said in broken(topic, example)
    ]
    found = faults([said for _, said in wrong])
    assert [what for (what, _), why in zip(wrong, found, strict=True) if not why] == []


def test_the_documents_have_no_two_of_a_name() -> None:
    names = [name for name, _ in documents()]
    assert len(set(names)) == len(names)
