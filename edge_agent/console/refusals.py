"""What is said when something was not done, and what to do instead: a page to a person, JSON to a program."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from edge_agent.console.form import read_form
from edge_agent.console.login import Door
from edge_agent.console.page import Pages
from edge_agent.console.sessions import Session
from edge_agent.control.protocol import RefusedError

log = logging.getLogger(__name__)

_TO_PROGRAMS = {
    403: "not allowed",
    404: "not there; /api/status names the devices, /api/openapi.json the paths",
    405: "only GET is answered here",
    500: "a mistake in the program; the log of the gateway has it",
}


class Refusals:
    """Answers in place of a page."""

    def __init__(self, pages: Pages, door: Door) -> None:
        self._pages, self._door = pages, door

    def all(self) -> Mapping[Any, Callable[[Request, Any], Awaitable[Response]]]:
        """Return what answers each error."""
        return {HTTPException: self._http, RefusedError: self._by_agent, Exception: self._bug}

    async def _http(self, request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = _allowed(request)
        return self._answer(request, error.status_code, error.detail, headers)

    async def _by_agent(self, request: Request, error: RefusedError) -> Response:
        session = self._door.session(request)
        if session is not None and await self.keeps(request):
            return await self.kept(request, session, str(error))
        return self._answer(request, HTTPStatus.CONFLICT, str(error), {})

    async def _bug(self, request: Request, error: Exception) -> Response:
        log.error("console: %s failed", request.url.path, exc_info=error)
        return self._answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "", {})

    async def keeps(self, request: Request) -> bool:
        """Say whether it is a form of the configuration, into which somebody may have written a lot."""
        form = request.method == "POST" and request.url.path.startswith("/change/")
        return form and bool(await read_form(request))

    async def kept(self, request: Request, session: Session | None, why: str = "") -> Response:
        """Show that a form was not taken, and keep what is in it, to be sent once more.

        ``why``: the agent refused it; else its page is from before the last login, or nobody is logged in.
        """
        told = await read_form(request)
        fields = {key: one for key, one in told.items() if key not in {"csrf", "apply", "again"}}
        code = HTTPStatus.CONFLICT if why else HTTPStatus.FORBIDDEN
        return self._pages.answer(request, "kept.html", code, session=session, fields=fields, why=why)

    def _answer(self, request: Request, code: int, why: str, headers: Mapping[str, str]) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": _TO_PROGRAMS.get(code, why)}, code, headers)
        session = self._door.session(request)
        answer = self._pages.answer(request, "refused.html", code, code=code, why=why, session=session)
        answer.headers.update(headers)
        return answer


def _allowed(request: Request) -> str:
    """Return how a path may be asked for; it may have several routes."""
    methods = {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    return ", ".join(sorted(methods))
