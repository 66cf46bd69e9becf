"""Logging in and out: passwords, and the one-time code with which the first password is set."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge_agent.console import tries, users
from edge_agent.console.audit import Audit
from edge_agent.console.form import read_form
from edge_agent.console.page import Pages
from edge_agent.console.sessions import OneTimeCode, Session, Sessions
from edge_agent.console.tries import Tries, Who

log = logging.getLogger(__name__)

FIRST = "admin"
"""The name of the first user."""

_COOKIE, _KNOWN = "edge_agent", "edge_agent_known"
_KNOWN_S = 90 * 86_400
_MOST_WAITING = 8  # for their turn: of those whose browser is known, and of all others


def address_of(request: Request) -> str:
    """Return from where somebody asks."""
    return request.client.host if request.client else ""


class Door:
    """Lets people in. ``file`` holds the users, ``secure`` says whether cookies may go over TLS only."""

    def __init__(self, file: Path, pages: Pages, now: Callable[[], float], *, secure: bool) -> None:
        self._file, self._pages, self._secure = file, pages, secure
        self.audit = Audit(file.with_suffix(".audit"))
        self._sessions, self._tries = Sessions(now), Tries(now)
        self._hashing = asyncio.Lock()  # one at a time: each takes 19 MiB
        self._waiting = Counter[bool]()
        self._written: tuple[int, ...] = ()
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

    def _cookie(self, name: str) -> str:
        """Return what a cookie is called: with this prefix, no other site can set one in its place."""
        return f"__Host-{name}" if self._secure else name

    def session(self, request: Request) -> Session | None:
        """Return who asks."""
        self._look()
        return self._sessions.find(request.cookies.get(self._cookie(_COOKIE), ""))

    def _look(self) -> None:
        """Log those out whose password or role was changed, by whomever."""
        try:
            found = self._file.stat()
            written: tuple[int, ...] = (found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:
            written = ()
        if written != self._written:
            self._written = written
            self._sessions.keep(self._users())

    async def show(self, request: Request) -> Response:
        """Show the form."""
        if self.session(request) is not None:
            return RedirectResponse("/", 303)
        return self._form(request, "")

    def _form(self, request: Request, wrong: str, status: int = 200, **values: object) -> Response:
        code = "" if self._code is None else "good" if self._code.good else "old"
        return self._pages.answer(request, "login.html", status, wrong=wrong, code=code, **values)

    def _too_often(self, request: Request, wait: float) -> Response:
        answer = self._form(request, "too often", 429, minutes=math.ceil(wait / 60))
        answer.headers["Retry-After"] = str(math.ceil(wait))
        return answer

    async def enter(self, request: Request) -> Response:
        """Judge a name and a password, or the code."""
        told = await read_form(request)
        name, password = told.get("name", "").strip(), told.get("password", "")
        known, address = self._users(), address_of(request)
        kept = request.cookies.get(self._cookie(_KNOWN), "")
        who = tries.from_browser(kept, name, known.get(name)) or tries.from_address(address)
        if wait := self._tries.wait(who):
            return self._too_often(request, wait)
        if known:
            self._code = None  # somebody set a password meanwhile
        elif self._code is not None and name == FIRST and self._code.take(password):
            self._code = None
            self._tries.right(who)
            log.warning("console: %s logged in with the code, from %s", name, address)
            await self.audit.note(name, address, "logged in with the code")
            return self._let_in(name, users.User("", "operator"), "/password")
        if not await self._verified(who, known, name, password):
            log.warning("console: a wrong name or password from %s", address)
            return self._form(request, "wrong", 403)
        log.info("console: %s logged in, from %s", name, address)
        await self.audit.note(name, address, "logged in")
        answer = self._let_in(name, known[name], "/")
        self._set(answer, _KNOWN, tries.mark(name, known[name]), _KNOWN_S)
        return answer

    async def _verified(self, who: Who, known: Mapping[str, users.User], name: str, password: str) -> bool:
        """Say whether a password is right. What is counted as a wrong try then is none."""
        try:
            async with self._turn(who):
                right = await asyncio.to_thread(users.verify, known, name, password)
        except HTTPException:
            self._tries.right(who)
            raise
        if right:
            self._tries.right(who)
        return right

    @asynccontextmanager
    async def _turn(self, who: Who) -> AsyncIterator[None]:
        """Wait until nobody else's password is hashed. Those who are not known never keep the others away."""
        if self._waiting[who.stranger] >= _MOST_WAITING:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "many log in just now", {"Retry-After": "5"})
        self._waiting[who.stranger] += 1
        try:
            async with self._hashing:
                yield
        finally:
            self._waiting[who.stranger] -= 1

    def _let_in(self, name: str, user: users.User, to: str) -> Response:
        answer = RedirectResponse(to, 303)
        self._set(answer, _COOKIE, self._sessions.open(name, user.role, user.hash), None)
        return answer

    def _set(self, answer: Response, name: str, value: str, seconds: int | None) -> None:
        answer.set_cookie(
            self._cookie(name),
            value,
            max_age=seconds,
            httponly=True,
            samesite="strict",
            secure=self._secure,
            path="/",
        )

    async def leave(self, request: Request, _session: Session) -> Response:
        """Log out."""
        self._sessions.close(request.cookies[self._cookie(_COOKIE)])
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(self._cookie(_COOKIE), path="/", secure=self._secure)
        return answer

    async def show_password(self, request: Request, session: Session) -> Response:
        """Show the form for one's own password."""
        return self._ask_password(request, session, "")

    def _ask_password(
        self, request: Request, session: Session, wrong: str, status: int = 200, **told: object
    ) -> Response:
        return self._pages.answer(
            request, "password.html", status, session=session, wrong=wrong, first=not session.hash, **told
        )

    async def set_password(self, request: Request, session: Session) -> Response:
        """Set one's own password, with the old one; all other browsers are logged out."""
        told = await read_form(request)
        password, who = told.get("password", ""), Who(f"the password of {session.user}", stranger=False)
        if password != told.get("again", ""):
            return self._ask_password(request, session, "differ", 422)
        if session.hash:
            if wait := self._tries.wait(who):
                return self._ask_password(request, session, "too often", 429, minutes=math.ceil(wait / 60))
            if not await self._verified(who, self._users(), session.user, told.get("old", "")):
                log.warning("console: a wrong old password of %s, from %s", session.user, address_of(request))
                return self._ask_password(request, session, "old", 403)
        try:
            async with self._turn(who):
                await asyncio.to_thread(users.set_password, self._file, session.user, password, session.role)
        except ValueError:
            return self._ask_password(request, session, "length", 422)
        except (OSError, users.UsersError) as error:
            log.error("console: the password of %s could not be kept: %s", session.user, error)  # noqa: TRY400 - the disk's
            return self._ask_password(request, session, "disk", 500)
        log.warning("console: %s set a password", session.user)
        self._look()
        return self._let_in(session.user, self._users()[session.user], "/")
