"""Logging in and out: passwords, and the one-time code with which the first password is set."""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge_agent.console import users
from edge_agent.console.form import read_form
from edge_agent.console.page import Pages
from edge_agent.console.sessions import COOKIE, OneTimeCode, Session, Sessions, Tries

log = logging.getLogger(__name__)

FIRST = "admin"
"""The name of the first user."""


class Door:
    """Lets people in. ``file`` holds the users, ``secure`` says whether cookies may go over TLS only."""

    def __init__(self, file: Path, pages: Pages, now: Callable[[], float], *, secure: bool) -> None:
        self._file, self._pages, self._secure = file, pages, secure
        self.sessions = Sessions(now)
        self._tries = Tries(now)
        self._hashing = asyncio.Lock()  # one at a time: each takes 19 MiB
        self._code: OneTimeCode | None = None
        if not self._users():
            self._code = OneTimeCode(now)
            log.warning(
                "console: it has no password yet; log in as %s with the code %s within an hour, "
                "or set one with edge-agent console password",
                FIRST,
                self._code.text,
            )

    def _users(self) -> Mapping[str, users.User]:
        try:
            return users.read(self._file)
        except users.UsersError as error:
            log.error("console: %s", error)  # noqa: TRY400 - its text says all
            return {}

    def session(self, request: Request) -> Session | None:
        """Return who asks."""
        return self.sessions.find(request.cookies.get(COOKIE, ""))

    async def show(self, request: Request) -> Response:
        """Show the form."""
        if self.session(request) is not None:
            return RedirectResponse("/", 303)
        return self._form(request, "")

    def _form(self, request: Request, wrong: str, status: int = 200, **values: object) -> Response:
        code = self._code is not None
        return self._pages.answer(request, "login.html", status, wrong=wrong, code=code, **values)

    def _too_often(self, request: Request, wait: float) -> Response:
        answer = self._form(request, "too often", 429, minutes=math.ceil(wait / 60))
        answer.headers["Retry-After"] = str(math.ceil(wait))
        return answer

    async def enter(self, request: Request) -> Response:
        """Judge a name and a password, or the code."""
        told = await read_form(request)
        address = request.client.host if request.client else ""
        if wait := self._tries.wait(address):
            return self._too_often(request, wait)
        name, password = told.get("name", "").strip(), told.get("password", "")
        async with self._hashing:
            if wait := self._tries.wait(address):  # he sent many at once
                return self._too_often(request, wait)
            known = self._users()
            if known:
                self._code = None  # somebody set a password meanwhile
            if self._code is not None and name == FIRST and self._code.take(password):
                self._code = None
                log.warning("console: %s logged in with the code, from %s", name, address)
                return self._let_in(name, "operator", "/password")
            if not await asyncio.to_thread(users.verify, known, name, password):
                self._tries.wrong(address)
                log.warning("console: a wrong name or password from %s", address)
                return self._form(request, "wrong", 403)
        log.info("console: %s logged in, from %s", name, address)
        return self._let_in(name, known[name].role, "/")

    def _let_in(self, name: str, role: users.Role, to: str) -> Response:
        answer = RedirectResponse(to, 303)
        answer.set_cookie(
            COOKIE,
            self.sessions.open(name, role),
            httponly=True,
            samesite="strict",
            secure=self._secure,
            path="/",
        )
        return answer

    async def leave(self, request: Request, _session: Session) -> Response:
        """Log out."""
        self.sessions.close(request.cookies[COOKIE])
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    async def show_password(self, request: Request, session: Session) -> Response:
        """Show the form for one's own password."""
        return self._pages.answer(request, "password.html", session=session, wrong="")

    async def set_password(self, request: Request, session: Session) -> Response:
        """Set one's own password; other browsers are logged out."""
        told = await read_form(request)
        password = told.get("password", "")
        if password != told.get("again", ""):
            return self._pages.answer(request, "password.html", 422, session=session, wrong="differ")
        try:
            async with self._hashing:
                await asyncio.to_thread(users.set_password, self._file, session.user, password, session.role)
        except ValueError:
            return self._pages.answer(request, "password.html", 422, session=session, wrong="length")
        except (OSError, users.UsersError) as error:
            log.error("console: the password of %s could not be kept: %s", session.user, error)  # noqa: TRY400 - the disk's
            return self._pages.answer(request, "password.html", 500, session=session, wrong="disk")
        log.warning("console: %s set a password", session.user)
        self.sessions.close_all(session.user)
        return self._let_in(session.user, session.role, "/")
