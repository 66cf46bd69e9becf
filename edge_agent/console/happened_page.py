"""What happened, the newest first: a page of its own, a part of a device's page, and JSON for programs."""

import asyncio
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edge_agent.console.api import HappenedQuery
from edge_agent.console.live import Live
from edge_agent.console.overview import Ask
from edge_agent.console.page import Pages
from edge_agent.console.sessions import Session
from edge_agent.control.protocol import RefusedError

_OF_DEVICE = 5


class HappenedPage:
    """Shows it. All can be done without a script: filters and pages are links and a form."""

    def __init__(self, ask: Ask, live: Live, pages: Pages) -> None:
        self._ask, self._live, self._pages = ask, live, pages
        self._reading = asyncio.Lock()  # one reads the outbox at a time

    async def show(self, request: Request, session: Session) -> Response:
        """Show a page of it: of all, of a device, or of one kind."""
        try:
            wanted = HappenedQuery.model_validate(
                {key: one for key, one in request.query_params.items() if one}
            )
        except ValidationError:
            raise HTTPException(400) from None
        status, told = await self._live.status(), await self._told(**wanted.model_dump())
        names = {device.id: device.name for device in status.devices}
        rest = {key: one for key, one in (("device", wanted.device), ("kind", wanted.kind)) if one}
        return self._pages.answer(
            request,
            "happened.html",
            session=session,
            wanted=wanted,
            names=names,
            newest=f"/happened?{urlencode(rest)}".rstrip("?"),
            older=f"/happened?{urlencode(rest | {'before': told['next']})}" if told["next"] else "",
            **told,
        )

    async def of_device(self, device: str) -> dict[str, Any]:
        """Return the last of what happened to a device, for its page."""
        return await self._told(device=device, most=_OF_DEVICE)

    async def _told(self, **args: Any) -> dict[str, Any]:
        try:
            async with self._reading:
                return {"not_told": ""} | dict(await self._ask("happened", args))
        except RefusedError as error:
            return {"happened": [], "next": "", "timezone": "UTC", "not_told": str(error)}

    async def tell(self, request: Request, _session: Session) -> Response:
        """Tell it to a program, which names only what there is."""
        try:
            async with self._reading:
                return JSONResponse(dict(await self._ask("happened", dict(request.query_params))))
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, 503)
