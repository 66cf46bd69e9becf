"""The page of one device: how it does now, what it read, and asking it now."""

import asyncio
import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edge_agent.console import plot
from edge_agent.console.live import Live
from edge_agent.console.overview import Ask
from edge_agent.console.page import Pages
from edge_agent.console.sessions import Session
from edge_agent.control.wire import RefusedError
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


class DevicePage:
    """The pages of all devices."""

    def __init__(self, ask: Ask, live: Live, pages: Pages) -> None:
        self._ask, self._live, self._pages = ask, live, pages
        self._drawing = asyncio.Lock()  # one reads the outbox at a time

    async def show(self, request: Request, session: Session) -> Response:
        """Show a device."""
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

    async def _device(self, request: Request) -> DeviceStatus:
        for device in (await self._live.status()).devices:
            if device.id == request.path_params["id"]:
                return device
        raise HTTPException(404)

    async def _past(self, device: str, length: str) -> dict[str, Any]:
        async with self._drawing:
            return dict(await self._ask("past", {"device": device, "length": length}))

    async def _answer(self, request: Request, session: Session, **told: Any) -> Response:
        device, length = await self._device(request), _length(request)
        values: dict[str, Any] = {"read": None, "not_read": "", "chosen": length, "refused": ""} | told
        try:
            past = await self._past(device.id, length)
        except RefusedError as error:
            values |= {"refused": str(error), "past": {}, "plots": []}
        else:
            values |= {"past": past, "plots": await asyncio.to_thread(plot.plots, past)}
        return self._pages.answer(
            request, "one_device.html", session=session, device=device, **values, **_SIZES
        )


def _length(request: Request) -> str:
    length = request.query_params.get("length", "1h")
    if length not in {"1h", "24h", "7d"}:
        raise HTTPException(400)
    return length
