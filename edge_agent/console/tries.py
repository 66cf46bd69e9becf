"""Who may try a password now. Who guesses is slowed down; who was let in before waits for nobody else.

A browser that somebody has logged in with keeps a mark that only the gateway can make, and is counted by
itself. What is left for all others is a number of tries that no count of addresses raises (OWASP, "Slow Down
Online Guessing Attacks with Device Cookies").
"""

import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from edge_agent.console.users import User

_TRIES, _WITHIN_S, _THEN_EACH_S = 5, 300.0, 60.0  # wrong ones of an address, or of a browser that is known
_ALL_TRIES, _ALL_EACH_S = 30, 10.0  # of all other machines together, in the same time
_MOST = 500  # that are remembered
_PREFIX = 64  # bits of an IPv6 address that a whole network has

HERE = "this machine"


@dataclass(frozen=True, slots=True)
class Who:
    """Whose tries are counted together. ``stranger``: from another machine, with an unknown browser."""

    name: str
    stranger: bool


@dataclass(frozen=True, slots=True)
class _Try:
    at: float
    who: Who


class Tries:
    """The wrong passwords of the last minutes. ``now`` is a monotonic time in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._wrong: deque[_Try] = deque(maxlen=_MOST)

    def wait(self, who: Who) -> float:
        """Return for how many seconds somebody may not try; 0: now, which counts as wrong until ``right``."""
        now = self._now()
        while self._wrong and self._wrong[0].at <= now - _WITHIN_S:
            self._wrong.popleft()
        own = [one.at for one in self._wrong if one.who == who]
        wait = own[-1] + _THEN_EACH_S - now if len(own) >= _TRIES else 0.0
        if who.stranger:
            others = [one.at for one in self._wrong if one.who.stranger]
            if len(others) >= _ALL_TRIES:
                wait = max(wait, others[-1] + _ALL_EACH_S - now)
        if wait <= 0:
            self._wrong.append(_Try(now, who))
            return 0.0
        return wait

    def right(self, who: Who) -> None:
        """Forget the last try of somebody: it was right, or was not looked at."""
        for one in reversed(self._wrong):
            if one.who == who:
                self._wrong.remove(one)
                return


def from_address(address: str) -> Who:
    """Return who tries with a browser that is not known: an IPv4 address, or an IPv6 network."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return Who(address, stranger=True)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return Who(HERE, stranger=False)
    return Who(str(ip_network((ip, _PREFIX if ip.version == 6 else 32), strict=False)), stranger=True)  # noqa: PLR2004 - the two versions of IP


def mark(name: str, user: User) -> str:
    """Return what a browser keeps that this user has logged in with; another password makes it worthless."""
    nonce = secrets.token_urlsafe(12)
    return f"{nonce}.{_seal(name, user, nonce)}"


def from_browser(kept: str, name: str, user: User | None) -> Who | None:
    """Return who tries with a browser that this user has logged in with before, else None."""
    nonce, _, seal = kept.partition(".")
    if user is None or not hmac.compare_digest(seal.encode(), _seal(name, user, nonce).encode()):
        return None
    return Who(f"{name} {nonce}", stranger=False)


def _seal(name: str, user: User, nonce: str) -> str:
    """The hash that is kept of a password, with its salt, is known to nobody: it is the key."""
    return hmac.new(user.hash.encode(), f"{nonce} {name}".encode(), hashlib.sha256).hexdigest()
