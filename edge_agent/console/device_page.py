"""The page of one device: how it does now, what it read, what passed on its bus, and what it is."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edge_agent.console import driver_page, plot
from edge_agent.console.gone import gone
from edge_agent.console.happened_page import HappenedPage
from edge_agent.console.live import Live, now_of
from edge_agent.console.overview import Ask
from edge_agent.console.page import Pages
from edge_agent.console.sessions import Session
from edge_agent.control.protocol import RefusedError
from edge_agent.registry import UnknownDriverError
from edge_agent.status import DeviceStatus

log = logging.getLogger(__name__)

_SIZES = {
    "width": plot.WIDTH,
    "height": plot.HEIGHT,
    "left": plot.LEFT,
    "right": plot.RIGHT,
    "top": plot.TOP,
    "bottom": plot.BOTTOM,
}
_EVERY_S = {"1h": 15, "24h": 300, "7d": 1800}
"""How often plots of such a length are drawn anew while somebody looks."""
_PARTS = {"past": "past.html", "frames": "frames.html", "happened": "happened_here.html"}
_NONE_OF_IT: Mapping[str, Any] = {"past": {}, "plots": []}


class DevicePage:
    """The pages of all devices."""

    def __init__(self, ask: Ask, live: Live, pages: Pages, happened: HappenedPage) -> None:
        self._ask, self._live, self._pages, self._happened = ask, live, pages, happened
        self._drawing = asyncio.Lock()  # one reads the outbox at a time
        self._drawn: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}

    async def show(self, request: Request, session: Session) -> Response:
        """Show a device, or that there is none of this id."""
        id_ = request.path_params["id"]
        if id_ not in {device.id for device in (await self._live.status()).devices}:
            return await gone(self._pages, self._ask, request, session, ("device", id_))
        return await self._answer(request, session)

    async def read(self, request: Request, session: Session) -> Response:
        """Ask a device now, and show what it says."""
        device = await self._device(request)
        log.info("console: %s asks %s now", session.user, device.id)
        try:
            told = await self._ask("read", {"device": device.id})
        except RefusedError as error:
            return await self._answer(request, session, not_read=str(error))
        return await self._answer(request, session, read=told)

    async def past(self, request: Request, _session: Session) -> Response:
        """Say what it read, to a program."""
        device = await self._device(request)
        try:
            return JSONResponse(await self._past(device.id, _length(request)))
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, 503)

    async def frames(self, request: Request, _session: Session) -> Response:
        """Say what passed between it and its bus, to a program."""
        device = await self._device(request)
        try:
            return JSONResponse(dict(await self._ask("frames", {"device": device.id})))
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, 503)

    async def part(self, request: Request, session: Session) -> Response:
        """Show one part of its page by itself, as it is now: a script puts it in the old one's place."""
        device = await self._device(request)
        told: dict[str, Any] = {"device": device, "session": session}
        match request.path_params["part"]:
            case "past":
                told |= await self._plots(device, _length(request))
            case "happened":
                told |= await self._happened.of_device(device.id)
            case "frames" if session.role == "operator":
                told |= await self._frames(device)
            case _:
                raise HTTPException(404)
        template = _PARTS[request.path_params["part"]]
        return self._pages.answer(request, template, **told, **_SIZES)

    async def values(self, request: Request, session: Session) -> Response:
        """Show one channel's past as a table, for those who do not see a plot."""
        device = await self._device(request)
        told = await self._plots(device, _length(request))
        for one in told["plots"]:
            if one.channel == request.query_params.get("channel"):
                return self._pages.answer(
                    request, "values.html", session=session, device=device, plot=one, **told
                )
        raise HTTPException(404)

    async def _device(self, request: Request) -> DeviceStatus:
        for device in (await self._live.status()).devices:
            if device.id == request.path_params["id"]:
                return device
        raise HTTPException(404)

    async def _past(self, device: str, length: str) -> dict[str, Any]:
        async with self._drawing:
            return dict(await self._ask("past", {"device": device, "length": length}))

    async def _lately(self, device: str, length: str) -> dict[str, Any]:
        """Return its past as it was not long ago: once for all who look at it."""
        now = asyncio.get_running_loop().time()
        fresh = {key: of for key, of in self._drawn.items() if now - of[0] < _EVERY_S[key[1]] / 2}
        if (device, length) not in fresh:
            fresh[device, length] = now, await self._past(device, length)
        self._drawn = fresh
        return fresh[device, length][1]

    async def _plots(self, device: DeviceStatus, length: str) -> dict[str, Any]:
        told = {"chosen": length, "every": _EVERY_S[length]}
        try:
            past = await self._lately(device.id, length)
        except RefusedError as error:
            return {"refused": str(error), **told, **_NONE_OF_IT}
        plots = await asyncio.to_thread(plot.plots, past)
        return {"refused": "", "past": past, "plots": plots} | told

    async def _frames(self, device: DeviceStatus) -> dict[str, Any]:
        try:
            told = await self._ask("frames", {"device": device.id})
        except RefusedError as error:
            return {"frames": [], "longest": 0, "no_frames": str(error)}
        return {"frames": told["frames"], "longest": told["longest"], "no_frames": ""}

    async def _what(self, device: DeviceStatus) -> dict[str, Any]:
        """Return what it is, and how it is connected; while the agent starts that is not known."""
        try:
            known = dict(await self._ask("identify", {"device": device.id}))
            return {"what": known, "wiring": await asyncio.to_thread(driver_page.wiring, device.driver)}
        except (RefusedError, UnknownDriverError):
            return {"what": {}, "wiring": ""}

    async def _answer(self, request: Request, session: Session, **told: Any) -> Response:
        device = await self._device(request)
        status = await self._live.status()
        values: dict[str, Any] = {"read": None, "not_read": ""} | told
        values |= now_of(device, status) | await self._what(device)
        values |= await self._plots(device, _length(request))
        values |= await self._happened.of_device(device.id)
        if session.role == "operator":
            values |= await self._frames(device)
        return self._pages.answer(
            request, "one_device.html", session=session, device=device, **values, **_SIZES
        )


def _length(request: Request) -> str:
    length = request.query_params.get("length", "1h")
    if length not in {"1h", "24h", "7d"}:
        raise HTTPException(400)
    return length
