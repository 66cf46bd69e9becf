"""What changes, told to the browsers that look: one event a second at most, and only what differs.

A part of a page is rendered once for all that show it in one language, however many look.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from edge_agent.console.overview import Ask, overview, row, signature
from edge_agent.console.page import Pages
from edge_agent.console.sparks import Spark, sparks
from edge_agent.console.trouble import on_air, remedy
from edge_agent.control.protocol import RefusedError
from edge_agent.status import DeviceStatus, Status, from_json

_EVERY_S = 1.0
_SPARKS_EVERY_S = 30.0
_SLOW_S = 10.0  # until a browser that does not read is dropped
_SILENT_TICKS = 15  # then a comment, so that proxies keep the connection
_MOST = 12  # browsers at once
_LONGEST_S = 3600.0  # of one answer; then a browser asks again
_ROWS_AT_ONCE = 20  # rendered between two turns of the event loop: nothing else should wait for a page


_Shown = tuple[str, str, object, dict[str, Any]]
"""A part that is to be rendered: id, template, what tells that it differs (None: its HTML), values."""


class Part(NamedTuple):
    """A row, or another part of a page.

    ``mark`` tells whether it differs, ``text`` is its id and its HTML, as JSON.
    """

    mark: object
    text: str


class View(NamedTuple):
    """What a browser shows: the page of a device, "" for the overview, in a language."""

    language: str
    device: str


class Live:
    """Tells all browsers. While nobody looks nothing is done."""

    def __init__(self, ask: Ask, pages: Pages) -> None:
        self._ask, self.pages = ask, pages
        self._seen: tuple[float, Status] | None = None
        self._asking, self._rendering = asyncio.Lock(), asyncio.Lock()
        self.lookers = Counter[View]()
        self._shown: dict[View, tuple[Status, Mapping[str, Part]]] = {}
        self._sparks: tuple[float, Mapping[str, Spark]] | None = None
        self._overview: dict[str, Any] | None = None
        self._peaks: dict[str, int] = {}  # the most that each uplink owed since it owed nothing

    async def status(self) -> Status:
        """Return how the agent does, at most a second old."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if self._seen is None or now - self._seen[0] >= _EVERY_S:
                self._seen = now, from_json(await self._ask("status", {}))
                for uplink in self._seen[1].uplinks:
                    most = max(uplink.backlog, self._peaks.get(uplink.name, 0))
                    self._peaks[uplink.name] = most if uplink.backlog else 0
            return self._seen[1]

    async def overview(self) -> dict[str, Any]:
        """Return what the overview shows."""
        status, drawn = await self.status(), await self._drawn()
        if self._overview is None or self._overview["status"] is not status:
            self._overview = overview(status, drawn, self._peaks)
        return self._overview

    async def _drawn(self) -> Mapping[str, Spark]:
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if self._sparks is None or now - self._sparks[0] >= _SPARKS_EVERY_S:
                try:
                    told = await self._ask("hour", {})
                except RefusedError:  # a page without them says as much
                    told = {"devices": {}, "filling": False}
                if told["filling"]:  # what was before the agent was started is about to come
                    now -= _SPARKS_EVERY_S - _EVERY_S
                self._sparks = now, await asyncio.to_thread(sparks, told)  # 18 ms for 200 devices
            return self._sparks[1]

    async def parts(self, view: View, *, anew: bool) -> Mapping[str, Part]:
        """Return what a view consists of now, by id.

        ``anew``: all of it is rendered, for one who has nothing yet: the ages in the others' are of the past.
        """
        async with self._rendering:
            status = await self.status()
            of, known = self._shown.get(view, (None, {}))
            if anew or of is not status:
                known = await self._rendered(view, status, {} if anew else known)
                if view in self.lookers:
                    self._shown[view] = status, known
            return known

    async def _rendered(self, view: View, status: Status, known: Mapping[str, Part]) -> dict[str, Part]:
        """Return all parts: what differs from those that are known is rendered."""
        parts: dict[str, Part] = {}
        rendered = 0
        of_one = (_of_one(device, status) for device in status.devices if device.id == view.device)
        for id_, template, mark, values in of_one if view.device else _of_all(await self.overview()):
            part = known.get(id_)
            if part is None or mark is None or part.mark != mark:
                html = self.pages.render(template, view.language, **values)
                text = f"{json.dumps(id_)}:{json.dumps(html, ensure_ascii=False)}"
                part = Part(text if mark is None else mark, text)
                rendered += 1
                if rendered % _ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            parts[id_] = part
        return parts

    def answer(self, language: str, still_in: Callable[[], bool], device: str = "") -> Response:
        """Return what tells one browser, as long as ``still_in`` says that it may know.

        ``device``: it shows the page of this one; else the overview.
        """
        if self.lookers.total() >= _MOST:
            raise HTTPException(503, "too many pages are open; close one")
        return _Events(self, View(language, device), still_in)

    def gone(self, view: View) -> None:
        """Take note that a browser does not look any more."""
        self.lookers[view] -= 1
        if not self.lookers[view]:
            del self.lookers[view]
            self._shown.pop(view, None)


class _Events(Response):  # what an endpoint returns must be one
    """Server-sent events for one browser."""

    def __init__(self, live: Live, view: View, still_in: Callable[[], bool]) -> None:
        super().__init__()
        self._live, self._view, self._still_in = live, view, still_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await _begin(send)
            await _within({"type": "http.response.body"}, send)
            return
        live = self._live
        live.lookers[self._view] += 1
        gone = asyncio.create_task(_gone(receive), name="console.gone")
        telling = asyncio.create_task(self._tell(send), name="console.live")
        try:
            await asyncio.wait((gone, telling), return_when=asyncio.FIRST_COMPLETED)
        finally:
            live.gone(self._view)
            for task in (gone, telling):
                task.cancel()
            await asyncio.wait((gone, telling))
        if not telling.cancelled() and not isinstance(telling.exception(), TimeoutError):
            telling.result()

    async def _tell(self, send: Send) -> None:
        await _begin(send)
        seen: Mapping[str, Part] = {}
        silent = 0
        end = asyncio.get_running_loop().time() + _LONGEST_S
        shape = _shape(await self._live.status())
        while self._still_in() and _shape(await self._live.status()) == shape:
            if asyncio.get_running_loop().time() >= end:
                await _within({"type": "http.response.body", "body": b"event: over\ndata:\n\n"}, send)
                return
            parts = await self._live.parts(self._view, anew=not seen)
            event = _event(seen, parts)
            seen = parts
            silent = 0 if event else silent + 1
            if event or silent % _SILENT_TICKS == 0:
                await _within(
                    {"type": "http.response.body", "body": event or b":\n\n", "more_body": True}, send
                )
            await asyncio.sleep(_EVERY_S)
        why = b"again" if self._still_in() else b"out"
        await _within({"type": "http.response.body", "body": b"event: %b\ndata:\n\n" % why}, send)


def _event(seen: Mapping[str, Part], parts: Mapping[str, Part]) -> bytes:
    """Return an event with what differs from what a browser has; b"" without any."""
    changed = [
        part.text
        for id_, part in parts.items()
        if (old := seen.get(id_)) is not part and (old is None or old.mark != part.mark)
    ]
    return f"data: {{{','.join(changed)}}}\n\n".encode() if changed else b""


def _of_one(device: DeviceStatus, status: Status) -> _Shown:
    return f"now-{device.id}", "now.html", signature(device), now_of(device, status)


def now_of(device: DeviceStatus, status: Status) -> dict[str, Any]:
    """Return what the page of a device shows of how it does now."""
    air = on_air(status)
    return {"row": row(device, None), "air": device.bus in air, "remedy_for": remedy(device, air)}


def _of_all(told: dict[str, Any]) -> Iterator[_Shown]:
    for group in told["groups"]:
        yield group.id, "place.html", (group.counts, len(group.rows)), {"group": group}
        for one in group.rows:
            yield f"device-{one.device.id}", "device.html", one.mark, {"row": one}
    for name in ("summary", "ways"):
        yield name, f"{name}.html", None, told


async def _begin(send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
    await _within({"type": "http.response.start", "status": 200, "headers": headers}, send)


def _shape(status: Status) -> list[tuple[str, str]]:
    """Return which devices there are, and where: when that changes, the page is another one."""
    return [(device.place, device.id) for device in status.devices]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _within(message: Message, send: Send) -> None:
    async with asyncio.timeout(_SLOW_S):
        await send(message)
