"""The OpenAPI 3.1 document of ``/api``, made from its operations and the shapes of its answers."""

import json
import re
import sys
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from edge_agent.console.answers import ANSWERS, Refused
from edge_agent.console.api import OPERATIONS, Operation
from edge_agent.settings.field_types import ID_PATTERN

VERSION = "1.1.0"
"""Of the interface. A key that is added raises the second number, all else the first."""

_TEXT = """\
What the operators' page of an edge-agent knows, for programs. All of it only reads. Log in as the page does:
POST `name` and `password` as a form to `/login`, with an `Origin` header that names the gateway, and keep the
cookie. Programs ignore keys that they do not know."""

_ALL_REFUSE = {
    400: "A parameter is wrong, not known, or there twice; `error` says which.",
    401: "Nobody is logged in with this cookie, or no longer.",
}
_EVENT = {
    "type": "object",
    "description": "One event. Without a name, its data is the JSON object with the HTML.",
    "properties": {"data": {"type": "string"}, "event": {"enum": ["again", "out", "over"]}},
    "required": ["data"],
}
_REF = "#/components/schemas/{model}"


class _Told(GenerateJsonSchema):
    """An answer has all of its keys, and they need no second name."""

    def field_is_required(self, *_: Any, **__: Any) -> bool:
        return True

    def field_title_should_be_set(self, *_: Any) -> bool:
        return False


def document() -> dict[str, Any]:
    """Return the document."""
    shapes: dict[str, type[BaseModel]] = {**ANSWERS, "refused": Refused}
    references, shared = TypeAdapter.json_schemas(
        [(name, "serialization", TypeAdapter(shape)) for name, shape in shapes.items()],
        ref_template=_REF,
        schema_generator=_Told,
    )
    found = {name: schema for (name, _), schema in references.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The page of an edge-agent, for programs",
            "version": VERSION,
            "description": _TEXT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"session": []}, {"session_over_tls": []}],
        "paths": {one.path: {"get": _operation(one, found)} for one in OPERATIONS},
        "components": {
            "securitySchemes": {
                "session": _cookie("edge_agent", "over plain HTTP, at this machine"),
                "session_over_tls": _cookie("__Host-edge_agent", "over TLS"),
            },
            "schemas": shared["$defs"],
        },
    }


def text() -> str:
    """Return it as the file is written."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _cookie(name: str, where: str) -> dict[str, str]:
    return {
        "type": "apiKey",
        "in": "cookie",
        "name": name,
        "description": f"Given by /login, {where}.",
    }


def _operation(one: Operation, found: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": "As it is asked for."}
    shape = _EVENT if one.media == "text/event-stream" else found.get(one.name, {"type": "object"})
    told["content"] = {one.media: {"schema": shape}}
    return {
        "operationId": one.name,
        "summary": one.says.partition(":")[0].partition(". ")[0].rstrip("."),
        "description": one.says,
        "parameters": [*_in_path(one), *_in_query(one)],
        "responses": {
            "200": told,
            **{
                str(code): {
                    "description": why,
                    "content": {"application/json": {"schema": found["refused"]}},
                }
                for code, why in sorted((_ALL_REFUSE | dict(one.refuses)).items())
            },
        },
    }


def _in_path(one: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": "The id of a device.",
            "schema": {"type": "string", "pattern": f"^{ID_PATTERN}$", "examples": ["meter-7"]},
        }
        for name in re.findall(r"\{(\w+)\}", one.path)
    ]


def _in_query(one: Operation) -> list[dict[str, Any]]:
    schema = one.query.model_json_schema(schema_generator=_Told)
    return [
        {"name": name, "in": "query", "required": False, "description": one.query.__doc__, "schema": said}
        for name, told in schema.get("properties", {}).items()
        for said in ({key: value for key, value in told.items() if (key, value) != ("default", "")},)
    ]


if __name__ == "__main__":
    sys.stdout.write(text())
