"""Which page is where, and who may see it."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from edge_agent.console import api
from edge_agent.console.api import Endpoint
from edge_agent.console.bus_form import BusForm
from edge_agent.console.change import Change
from edge_agent.console.channel_form import ChannelForm
from edge_agent.console.device_form import DeviceForm
from edge_agent.console.device_page import DevicePage
from edge_agent.console.driver_page import DriverPage
from edge_agent.console.form import read_form
from edge_agent.console.happened_page import HappenedPage
from edge_agent.console.live import Live
from edge_agent.console.log_page import LogPage
from edge_agent.console.login import Door, address_of
from edge_agent.console.overview import Ask, arranged
from edge_agent.console.page import LANGUAGE, Pages, language_of
from edge_agent.console.refusals import Refusals
from edge_agent.console.scan import Scans
from edge_agent.console.sessions import Session
from edge_agent.settings.console import Console
from edge_agent.status import as_json
from edge_agent.text.language import LANGUAGES

_FOLDER = Path(__file__).parent
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_REFUSED = 400
_LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]"]
"""What a browser calls this machine; another name for it is somebody's trick (DNS rebinding)."""


def make(settings: Console, users: Path, ask: Ask, now: Callable[[], float]) -> ASGIApp:
    """Return the application. ``users`` is a file, ``ask`` the agent's verbs, ``now`` a monotonic time."""
    return _Site(settings, users, ask, now).app()


class _Site:
    """All pages."""

    def __init__(self, settings: Console, users: Path, ask: Ask, now: Callable[[], float]) -> None:
        self._settings = settings
        self._pages = Pages()
        self._laying_out = asyncio.Lock()
        self._door = Door(users, self._pages, now, secure=settings.cert is not None)
        self._refusals = Refusals(self._pages, self._door)
        self._live = Live(ask, self._pages)
        self._change = Change(self._pages, ask)
        self._device_form = DeviceForm(self._change, self._live)
        self._channel_form = ChannelForm(self._change, self._live)
        self._bus_form = BusForm(self._change)
        self._drivers = DriverPage(self._pages)
        self._happened = HappenedPage(ask, self._live, self._pages)
        self._devices = DevicePage(ask, self._live, self._pages, self._happened)
        self._log = LogPage(ask, self._pages)
        self._scans = Scans(self._pages, ask)
        self._document: str | None = None

    def app(self) -> ASGIApp:
        """Return the application of these pages."""
        door, seen, changing = self._door, self._seen, self._changing
        routes: list[BaseRoute] = [
            Route("/", seen(self._overview)),
            Route("/login", door.show),
            Route("/login", door.enter, methods=["POST"]),
            Route("/logout", changing(door.leave), methods=["POST"]),
            Route("/password", seen(door.show_password)),
            Route("/password", changing(door.set_password), methods=["POST"]),
            Route("/language", self._language, methods=["POST"]),
            *self._of_change(),
            Route("/device/{id}", seen(self._devices.show)),
            Route("/device/{id}/part/{part}", seen(self._devices.part)),
            Route("/device/{id}/values", seen(self._devices.values)),
            Route("/happened", seen(self._happened.show)),
            Route("/log", seen(self._operators(self._log.show))),
            Route("/driver/{name}", seen(self._drivers.show)),
            Route("/device/{id}/read", changing(self._operators(self._devices.read)), methods=["POST"]),
            *api.routes(self._of_programs(), seen),
            Route("/healthz", self._health),
            Mount("/static", StaticFiles(directory=_FOLDER / "static")),
        ]
        local = self._settings.is_local
        names = [Middleware(TrustedHostMiddleware, allowed_hosts=_LOCAL_NAMES)] if local else []
        refused = self._refusals.all()
        return _WithHeaders(Starlette(routes=routes, middleware=names, exception_handlers=refused))

    def _of_programs(self) -> dict[str, Endpoint]:
        """Return what answers each operation of ``/api``."""
        return {
            "status": self._status,
            "past": self._devices.past,
            "frames": self._operators(self._devices.frames),
            "happened": self._happened.tell,
            "live": self._changes,
            "openapi": self._openapi,
        }

    def _of_change(self) -> list[Route]:
        """Return the pages that change the configuration: all may look, operators may change."""
        change, device, channel, may = self._change, self._device_form, self._channel_form, self._operators
        changing = self._changing
        forms = [
            (f"/change/{kind}{one}", form)
            for kind, form in (("device", device), ("bus", self._bus_form))
            for one in ("", "/{id}")
        ]
        return [
            Route("/change", self._seen(change.show)),
            Route("/change/history", self._seen(change.history)),
            Route("/change/history/{number}", self._seen(change.one)),
            Route("/change/restore", changing(may(change.restore)), methods=["POST"]),
            Route("/change/remove", changing(may(change.remove)), methods=["POST"]),
            Route("/change/scan", self._seen(may(self._scans.show))),
            Route("/change/scan", changing(may(self._scans.begin)), methods=["POST"]),
            Route("/change/scan/stop", changing(may(self._scans.end)), methods=["POST"]),
            Route("/change/undo", changing(may(change.undo)), methods=["POST"]),
            *(
                route
                for path, form in forms
                for route in (
                    Route(path, self._seen(may(form.show))),
                    Route(path, changing(may(form.save)), methods=["POST"]),
                )
            ),
            Route("/change/device/{id}/{channel}", self._seen(may(channel.show))),
            Route("/change/device/{id}/{channel}", changing(may(channel.save)), methods=["POST"]),
        ]

    def _operators(self, endpoint: Endpoint) -> Endpoint:
        """Let only operators do something."""

        async def guarded(request: Request, session: Session) -> Response:
            if session.role != "operator":
                raise HTTPException(403)
            return await endpoint(request, session)

        return guarded

    def _seen(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """Let only those in who are logged in; a page sends the others to the login."""

        async def guarded(request: Request) -> Response:
            session = self._door.session(request)
            request.state.guest.user = session.user if session else ""
            if session is not None:
                return await endpoint(request, session)
            if request.url.path.startswith("/api/"):
                return JSONResponse({"error": "log in first"}, 401)
            if await self._refusals.keeps(request):
                return await self._refusals.kept(request, None)
            return RedirectResponse("/login", 303)

        return guarded

    def _changing(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """Let only forms of our own pages change something."""

        async def own(request: Request, session: Session) -> Response:
            if (await read_form(request)).get("csrf", "") != session.csrf:
                if await self._refusals.keeps(request):  # of a page from before the last login
                    return await self._refusals.kept(request, session)
                raise HTTPException(403)
            answer = await endpoint(request, session)
            done = answer.headers.get("location", "")
            if done or (answer.status_code < _REFUSED and not request.url.path.startswith("/change")):
                # a form again is no change
                what = f"{request.url.path}: {answer.status_code} {done}".rstrip()
                await self._door.audit.note(session.user, address_of(request), what)
            return answer

        return self._seen(own)

    async def _overview(self, request: Request, session: Session) -> Response:
        told, asked = await self._live.overview(), request.query_params
        find, sort = asked.get("find", "").strip(), asked.get("sort", "")

        def laid_out() -> Response:
            told_in_order = told | {
                "groups": arranged(told["groups"], find, sort),
                "find": find,
                "sort": sort,
            }
            return self._pages.answer(request, "overview.html", session=session, **told_in_order)

        async with self._laying_out:  # on a thread: with 200 devices all else would wait for it
            return await asyncio.to_thread(laid_out)

    async def _status(self, _request: Request, _session: Session) -> Response:
        return JSONResponse(as_json(await self._live.status()))

    async def _openapi(self, _request: Request, _session: Session) -> Response:
        if self._document is None:
            from edge_agent.console import openapi  # noqa: PLC0415 - hardly ever asked for

            self._document = await asyncio.to_thread(openapi.text)
        return Response(self._document, media_type="application/json")

    async def _changes(self, request: Request, _session: Session) -> Response:
        door = self._door
        device = request.query_params.get("device", "")
        if device and device not in {one.id for one in (await self._live.status()).devices}:
            raise HTTPException(404)
        return self._live.answer(language_of(request), lambda: door.session(request) is not None, device)

    async def _language(self, request: Request) -> Response:
        chosen = (await read_form(request)).get("language", "")
        answer = RedirectResponse("/", 303)
        if chosen in LANGUAGES:
            answer.set_cookie(
                LANGUAGE,
                chosen,
                max_age=365 * 86_400,
                samesite="strict",
                httponly=True,
                secure=self._settings.cert is not None,
            )
        return answer

    async def _health(self, request: Request) -> Response:
        """Say to a program on this machine that the agent lives."""
        if request.client is None or not ip_address(request.client.host).is_loopback:
            raise HTTPException(404)
        status = await self._live.status()
        return PlainTextResponse("ok" if status.epoch else "starting", 200 if status.epoch else 503)


class _WithHeaders:
    """Puts the headers on every answer that keep a page to itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers)
