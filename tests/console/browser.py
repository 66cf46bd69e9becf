"""A browser without a window: it keeps cookies, follows redirections and sends the forms of pages."""

import asyncio
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any

_WITHIN = 60


@dataclass(frozen=True, slots=True)
class Page:
    """What was answered. ``at`` is the path that it came from in the end."""

    status: int
    at: str
    text: str
    headers: Mapping[str, str]

    @property
    def csrf(self) -> str:
        """What stands in its forms against those of other sites."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        assert found is not None, self.text
        return found[1]

    @property
    def json(self) -> Any:
        """What it says to a program."""
        return json.loads(self.text)


@dataclass
class Browser:
    """Looks at one console."""

    base: str
    cookies: CookieJar = field(default_factory=CookieJar)

    async def get(self, path: str, method: str = "GET", **headers: str) -> Page:
        return await asyncio.to_thread(self._ask, path, None, headers, method)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Page:
        told = {"Origin": self.base} | headers
        return await asyncio.to_thread(self._ask, path, urllib.parse.urlencode(fields).encode(), told)

    def _ask(self, path: str, body: bytes | None, headers: dict[str, str], method: str = "POST") -> Page:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        request = urllib.request.Request(self.base + path, body, headers, method=method)
        try:
            with opener.open(request, timeout=_WITHIN) as answer:
                at = urllib.parse.urlsplit(answer.url).path
                return Page(answer.status, at, answer.read().decode(), dict(answer.headers.items()))
        except urllib.error.HTTPError as refused:
            with refused:
                return Page(refused.code, path, refused.read().decode(), dict(refused.headers.items()))

    async def log_in(self, password: str, name: str = "admin") -> Page:
        return await self.post("/login", {"name": name, "password": password})
