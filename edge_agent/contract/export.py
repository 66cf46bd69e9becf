"""The contract as documents: an AsyncAPI 3 description, a JSON Schema and examples for each message."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from edge_agent.contract.examples import EXAMPLES
from edge_agent.contract.messages import Message
from edge_agent.contract.topics import ROOT, TOPICS, Topic

VERSION = "1.0.0"
"""Of the contract. Its major is the ``v1`` of the topics and the ``/1`` of the schemas."""

_MQTT_BINDING = "0.2.0"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = r"^[a-z0-9][a-z0-9_-]{0,62}$"

_VERBS = {"send": "publish", "receive": "take"}
_BELOW: Mapping[str, dict[str, str]] = {
    "": {},
    "device": {"device": "One sensor or meter. Its id is its identity for ever."},
    "name": {"name": "The name of a command."},
}

_TEXT = """\
What a backend sees of a gateway. A reading is identified for ever by (gateway, device, epoch, seq): it is
delivered at least once, and a consumer that drops what it has already seen under that key has it exactly
once. seq is contiguous per device and epoch. All up to `settled` was acknowledged by the broker or declared
on `loss/`: a number that is missing below it was lost behind the broker. Consumers ignore keys they do not
know. Where an installer chose it, and over MQTT 5 only, payloads on `history/` are packed with gzip: the user
property `content-encoding` says so, and the payload begins with the bytes 1f 8b."""

_LAST_WILL = {
    "topic": f"{ROOT}/{{site}}/{{gateway}}/status",
    "qos": 1,
    "message": "park.status/1 with state offline and reason will",
    "retain": True,
}


def documents() -> Iterator[tuple[str, str]]:
    """Return all files of the contract: the name of each, below a folder, and its text."""
    import yaml  # noqa: PLC0415 - loaded for this alone; it comes with the extra `contract`

    yield "asyncapi.yaml", yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)
    for name, schema in schemas().items():
        yield f"schemas/{name}.schema.json", _json(schema)
    for topic, examples in EXAMPLES.items():
        for name, example in examples.items():
            yield f"examples/{topic}/{name}.json", _json(example)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def schemas() -> dict[str, dict[str, Any]]:
    """Return a JSON Schema (2020-12) for each message, by the short name of its schema (``data``)."""
    made = {}
    for model in _models():
        schema = _published(model.model_json_schema(schema_generator=_Absent))
        made[_short(model)] = {"$schema": _DIALECT, "$id": _urn(model), **schema}
    return made


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document, from the gateway's point of view."""
    _, shared = models_json_schema(
        [(model, "validation") for model in _models()],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Absent,
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Park gateway over MQTT",
            "version": VERSION,
            "description": _TEXT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"backbone": _server()},
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {f"{_VERBS[topic.action]}_{topic.name}": _operation(topic) for topic in TOPICS},
        "components": {
            "messages": {topic.name: _message(topic) for topic in TOPICS},
            "schemas": {name: _published(schema) for name, schema in shared["$defs"].items()},
        },
    }


def _models() -> list[type[Message]]:
    return list(dict.fromkeys(topic.message for topic in TOPICS))


def _name(model: type[Message]) -> str:
    return str(model.model_fields["schema_"].default)


def _short(model: type[Message]) -> str:
    return _name(model).removeprefix("park.").split("/")[0]


def _urn(model: type[Message]) -> str:
    return "urn:" + _name(model).replace(".", ":").replace("/", ":")


def _server() -> dict[str, Any]:
    return {
        "host": "{broker}",
        "protocol": "mqtt",
        "protocolVersion": "5",
        "description": "The broker of the park or of the city; MQTT 3.1.1 where it has no 5. mqtts with TLS.",
        "variables": {"broker": {"default": "localhost:1883"}},
        "bindings": {
            "mqtt": {
                "cleanSession": False,
                "keepAlive": 30,
                "sessionExpiryInterval": 86_400,
                "lastWill": _LAST_WILL,
                "bindingVersion": _MQTT_BINDING,
            }
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    named = {"site": "The park or community.", "gateway": "The machine in it."}
    return {
        "address": f"{ROOT}/{{site}}/{{gateway}}/{topic.path}",
        "title": topic.name,
        "description": topic.says,
        "messages": {topic.name: {"$ref": f"#/components/messages/{topic.name}"}},
        "parameters": {
            name: {"description": f"{says} {_ID}"} for name, says in (named | _BELOW[topic.below]).items()
        },
    }


def _operation(topic: Topic) -> dict[str, Any]:
    binding: dict[str, Any] = {"qos": topic.qos, "retain": topic.retain, "bindingVersion": _MQTT_BINDING}
    if topic.expiry_s is not None:
        binding["messageExpiryInterval"] = topic.expiry_s
    made: dict[str, Any] = {
        "action": topic.action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": topic.says,
        "bindings": {"mqtt": binding},
        "messages": _carried(topic.name),
    }
    if topic.reply:
        made["reply"] = {
            "channel": {"$ref": f"#/channels/{topic.reply}"},
            "messages": _carried(topic.reply),
        }
    return made


def _carried(topic: str) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{topic}/messages/{topic}"}]


def _message(topic: Topic) -> dict[str, Any]:
    return {
        "name": _name(topic.message),
        "title": topic.name,
        "summary": topic.says,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{topic.message.__name__}"},
        "bindings": {"mqtt": {"payloadFormatIndicator": 1, "bindingVersion": _MQTT_BINDING}},
        "examples": [
            {"name": name, "payload": payload} for name, payload in EXAMPLES.get(topic.name, {}).items()
        ],
    }


class _Absent(GenerateJsonSchema):
    """What a message may leave out is absent, never null: null stands only where a key must be there."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """Describe a key that may be absent by what it is when it is there."""
        if schema.get("default", ...) is None and schema["schema"]["type"] == "nullable":
            return self.generate_inner(schema["schema"]["schema"])
        return super().default_schema(schema)


def _published(schema: Any) -> Any:
    """Say what a consumer may rely on, no more: unknown keys are allowed, a fixed value is always there."""
    if isinstance(schema, list):
        return [_published(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: _published(each) for name, each in value.items()}
        elif key == "description":
            made[key] = value.replace("``", "`")
        elif key == "required":
            fixed = [name for name, each in schema["properties"].items() if "const" in each]
            made[key] = fixed + [name for name in value if name not in fixed]
        elif key not in {"title", "default"} and (key, value) != ("additionalProperties", False):
            made[key] = _published(value)
    return made
