"""Who is logged in. All of it is in memory: a restart logs everybody out."""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge_agent.console.users import Role, User

_IDLE_S = 12 * 3600.0
_LONGEST_S = 7 * 24 * 3600.0
_MOST, _MOST_OF_ONE = 50, 10
_CODE_S = 3600.0


@dataclass(slots=True)
class Session:
    """One browser that is logged in. ``csrf`` stands in each of its forms.

    ``hash`` is that of the password it was let in with, "" where it was the one-time code.
    """

    user: str
    role: Role
    hash: str
    csrf: str
    begun: float
    seen: float


class Sessions:
    """All of them. ``now`` is a monotonic time in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known: dict[str, Session] = {}

    def open(self, user: str, role: Role, hash_: str) -> str:
        """Log someone in; return the cookie's value. Of too many, the one that is unused the longest ends."""
        self._sweep()
        self._leave_room(_MOST_OF_ONE, [token for token, one in self._known.items() if one.user == user])
        self._leave_room(_MOST, list(self._known))
        token = secrets.token_urlsafe(32)
        now = self._now()
        self._known[token] = Session(user, role, hash_, secrets.token_urlsafe(32), now, now)
        return token

    def _leave_room(self, most: int, tokens: list[str]) -> None:
        if len(tokens) >= most:
            del self._known[min(tokens, key=lambda token: self._known[token].seen)]

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

    def keep(self, users: Mapping[str, User]) -> None:
        """Log those out whose password or role is another by now, or who are no users any more."""
        self._known = {
            token: one
            for token, one in self._known.items()
            if ((user := users.get(one.user)) is None and not one.hash)
            or (user is not None and (user.hash, user.role) == (one.hash, one.role))
        }

    def _sweep(self) -> None:
        now = self._now()
        self._known = {
            token: one
            for token, one in self._known.items()
            if one.seen > now - _IDLE_S and one.begun > now - _LONGEST_S
        }


class OneTimeCode:
    """Lets the first person in, who reads the journal, to set the first password."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._until = now, now() + _CODE_S
        self.text = f"{secrets.randbelow(10**4):04}-{secrets.randbelow(10**4):04}"

    @property
    def good(self) -> bool:
        """Whether it lets anybody in: one time, within an hour."""
        return self._now() <= self._until

    def take(self, given: str) -> bool:
        """Say whether this is the code, which is of no use from then on."""
        right = hmac.compare_digest(given.strip().encode(), self.text.encode())
        if not right or not self.good:
            return False
        self._until = -1.0
        return True
