"""All of ``/api``, each operation once: its route and its part of the OpenAPI document are made of it.

To add one: give its answer a shape in ``answers``, write it into OPERATIONS, name what answers it in
``site`` under the same name, and run ``make pages``. A test asks each one, and holds the answer to its shape.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge_agent.console.sessions import Session
from edge_agent.control.happened import Before, Kind
from edge_agent.settings.field_types import ID_PATTERN, Id

DeviceId = Annotated[Id, WithJsonSchema({"type": "string", "pattern": f"^{ID_PATTERN}$"})]

Endpoint = Callable[[Request, Session], Awaitable[Response]]


class Query(BaseModel):
    """What may stand behind the ``?``: nothing else, and nothing twice."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PastQuery(Query):
    """How much of the past, up to now."""

    length: Literal["1h", "24h", "7d"] = "1h"


class LiveQuery(Query):
    """What the page shows that wants to know: this device, or without one the overview."""

    device: DeviceId = ""


class HappenedQuery(Query):
    """Of one device, or of one kind, alone; and ``before``: the ``next`` of the page before."""

    device: DeviceId = ""
    kind: Kind = ""
    before: Before = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a program may ask with GET. ``{id}`` in a path is a device.

    The shape of its JSON stands in ``answers`` under its name. ``refuses`` says what else it may answer,
    beside what all do.
    """

    name: str
    path: str
    says: str
    query: type[Query] = Query
    media: str = "application/json"
    refuses: Mapping[int, str] = field(default_factory=dict)


_NO_DEVICE = {404: "No device has this id."}

OPERATIONS = (
    Operation(
        "status",
        "/api/status",
        "How the agent and its devices do now: what `edge-agent status --json` prints.",
    ),
    Operation(
        "past",
        "/api/device/{id}/past",
        "What a device read, as lowest, highest and last value of up to 240 spans of time.",
        query=PastQuery,
        refuses=_NO_DEVICE | {503: "The outbox cannot be read now; `error` says why."},
    ),
    Operation(
        "frames",
        "/api/device/{id}/frames",
        "What passed between a device and its bus lately, in hex, and what it means. For operators.",
        refuses=_NO_DEVICE
        | {403: "For operators only.", 503: "The agent is about to start or to stop; `error` says so."},
    ),
    Operation(
        "happened",
        "/api/happened",
        "What happened, the newest first, 50 a page: devices late, offline and back, alarms, starts of the "
        "agent, changes of the configuration, and what was given up. Kept as long as readings are.",
        query=HappenedQuery,
        refuses={503: "The outbox cannot be read now; `error` says why."},
    ),
    Operation(
        "live",
        "/api/live",
        "What changes, for the pages, as server-sent events: each is a JSON object of HTML by the id of the "
        "element that it takes the place of, at most one a second. The last event says why it ends: `out`, "
        "the session has ended; `again`, the page is to be loaded anew, as devices came or went; `over`, an "
        "hour has passed: ask anew. Who does not read is dropped.",
        query=LiveQuery,
        media="text/event-stream",
        refuses=_NO_DEVICE | {503: "Too many pages are open."},
    ),
    Operation("openapi", "/api/openapi.json", "This document."),
)


def routes(endpoints: Mapping[str, Endpoint], seen: Callable[[Endpoint], Any]) -> list[Route]:
    """Return the routes of all operations. ``endpoints`` are by name, ``seen`` lets in who is logged in."""
    return [Route(one.path, seen(_asked(one, endpoints[one.name]))) for one in OPERATIONS]


def _asked(operation: Operation, endpoint: Endpoint) -> Endpoint:
    """Refuse what an operation does not take."""

    async def checked(request: Request, session: Session) -> Response:
        told = request.query_params.multi_items()
        try:
            operation.query.model_validate(dict(told))
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            raise HTTPException(400, f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
        if len(told) > len(dict(told)):
            raise HTTPException(400, "a parameter stands there twice")
        return await endpoint(request, session)

    return checked
