"""What changes, told to the browsers that look: one event a second at most, and only what differs."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from edge_agent.console.overview import Ask, overview, signature
from edge_agent.console.page import Pages
from edge_agent.status import Status, from_json

_EVERY_S = 1.0
_SLOW_S = 10.0  # until a browser that does not read is dropped
_SILENT_TICKS = 15  # then a comment, so that proxies keep the connection
_MOST = 12  # browsers at once


class Live:
    """Tells all browsers. While nobody looks nothing is done."""

    def __init__(self, ask: Ask, pages: Pages) -> None:
        self._ask, self.pages = ask, pages
        self._lookers = 0
        self._seen: tuple[float, Status] | None = None
        self._asking = asyncio.Lock()

    async def status(self) -> Status:
        """Return how the agent does, at most a second old."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if self._seen is None or now - self._seen[0] >= _EVERY_S:
                self._seen = now, from_json(await self._ask("status", {}))
            return self._seen[1]

    def answer(self, language: str, still_in: Callable[[], bool], device: str = "") -> Response:
        """Return what tells one browser, as long as ``still_in`` says that it may know.

        ``device``: it shows the page of this one; else the overview.
        """
        if self._lookers >= _MOST:
            return Response("too many pages are open", 503)
        return _Events(self, language, still_in, device)


class _Events(Response):  # what an endpoint returns must be one
    """Server-sent events for one browser."""

    def __init__(self, live: Live, language: str, still_in: Callable[[], bool], device: str) -> None:
        super().__init__()
        self._live, self._language, self._still_in, self._device = live, language, still_in, device

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        live = self._live
        live._lookers += 1  # noqa: SLF001 - of the same thing
        gone = asyncio.create_task(_gone(receive), name="console.gone")
        telling = asyncio.create_task(self._tell(send), name="console.live")
        try:
            await asyncio.wait((gone, telling), return_when=asyncio.FIRST_COMPLETED)
        finally:
            live._lookers -= 1  # noqa: SLF001 - as above
            for task in (gone, telling):
                task.cancel()
            await asyncio.wait((gone, telling))
        if not telling.cancelled() and not isinstance(telling.exception(), TimeoutError):
            telling.result()

    async def _tell(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await _within({"type": "http.response.start", "status": 200, "headers": headers}, send)
        seen: dict[str, object] = {}
        silent = 0
        while self._still_in():
            event = self._event(await self._live.status(), seen)
            silent = 0 if event else silent + 1
            if event or silent % _SILENT_TICKS == 0:
                await _within(
                    {"type": "http.response.body", "body": event or b":\n\n", "more_body": True}, send
                )
            await asyncio.sleep(_EVERY_S)
        await _within({"type": "http.response.body", "body": b"event: out\ndata:\n\n"}, send)

    def _event(self, status: Status, seen: dict[str, object]) -> bytes:
        """Return an event with the rows and parts that differ from what this browser has; b"" without any."""
        changed = {}
        for id_, (template, mark, values) in self._parts(status).items():
            if seen.get(id_) != mark:
                seen[id_] = mark
                changed[id_] = self._live.pages.render(template, self._language, **values)
        if not changed:
            return b""
        return f"data: {json.dumps(changed)}\n\n".encode()

    def _parts(self, status: Status) -> dict[str, tuple[str, object, dict[str, Any]]]:
        """Return what the page consists of, by id: template, what tells that it differs, values."""
        if self._device:
            return {
                f"now-{device.id}": ("now.html", signature(device), {"device": device})
                for device in status.devices
                if device.id == self._device
            }
        told = overview(status)
        parts: dict[str, tuple[str, object, dict[str, Any]]] = {
            f"device-{device.id}": ("device.html", signature(device), {"device": device})
            for device in status.devices
        }
        for name in ("summary", "ways"):
            template = f"{name}.html"
            parts[name] = template, self._live.pages.render(template, self._language, **told), told
        return parts


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _within(message: Message, send: Send) -> None:
    async with asyncio.timeout(_SLOW_S):
        await send(message)
