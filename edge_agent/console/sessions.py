"""Who is logged in, and who has tried too often. All of it is in memory: a restart logs everybody out."""

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.console.users import Role

COOKIE = "edge_agent"

_IDLE_S = 12 * 3600.0
_MOST = 50
_TRIES, _TRIES_S = 5, 300.0  # wrong ones of an address
_ALL_TRIES = 30  # of all addresses together, in the same time
_MOST_ADDRESSES = 500
_CODE_S = 3600.0


@dataclass(slots=True)
class Session:
    """One browser that is logged in. ``csrf`` stands in each of its forms."""

    user: str
    role: Role
    csrf: str
    seen: float


class Sessions:
    """All of them. ``now`` is a monotonic time in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known: dict[str, Session] = {}

    def open(self, user: str, role: Role) -> str:
        """Log someone in; return the cookie's value."""
        self._sweep()
        while len(self._known) >= _MOST:
            del self._known[min(self._known, key=lambda token: self._known[token].seen)]
        token = secrets.token_urlsafe(32)
        self._known[token] = Session(user, role, secrets.token_urlsafe(32), self._now())
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a cookie, and note that it is used."""
        self._sweep()
        session = self._known.get(token)
        if session is not None:
            session.seen = self._now()
        return session

    def close(self, token: str) -> None:
        """Log out."""
        self._known.pop(token, None)

    def close_all(self, user: str) -> None:
        """Log someone out everywhere: the password is another one now."""
        self._known = {token: session for token, session in self._known.items() if session.user != user}

    def _sweep(self) -> None:
        least = self._now() - _IDLE_S
        self._known = {token: session for token, session in self._known.items() if session.seen > least}


class Tries:
    """Wrong passwords of the last minutes."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._wrong: deque[tuple[float, str]] = deque(maxlen=_MOST_ADDRESSES)

    def wait(self, address: str) -> float:
        """Return for how many seconds an address may not try again; 0: it may."""
        now = self._now()
        while self._wrong and self._wrong[0][0] <= now - _TRIES_S:
            self._wrong.popleft()
        own = [at for at, of in self._wrong if of == address]
        if len(own) >= _TRIES:
            return own[-_TRIES] + _TRIES_S - now
        if len(self._wrong) >= _ALL_TRIES:
            return self._wrong[-_ALL_TRIES][0] + _TRIES_S - now
        return 0.0

    def wrong(self, address: str) -> None:
        """Count a wrong one."""
        self._wrong.append((self._now(), address))


class OneTimeCode:
    """Lets the first person in, who reads the journal, to set the first password."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._until = now, now() + _CODE_S
        self.text = f"{secrets.randbelow(10**4):04}-{secrets.randbelow(10**4):04}"

    def take(self, given: str) -> bool:
        """Say whether this is the code; it is good for one time, within an hour."""
        right = hmac.compare_digest(given.strip().encode(), self.text.encode())
        if not right or self._now() > self._until:
            return False
        self._until = -1.0
        return True
