"""Who is connected: few at once, and no faster than the agent has time for.

Whoever comes is let in; where there are too many, one goes first, and of those who are not logged in.
So a crowd of them takes its own places away, and nobody else's.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

_MOST = 40  # also of those that have not come beyond their handshake; each takes a descriptor
_MOST_STRANGERS = 16  # of one machine; a browser opens six, and several come through ssh


class Connection(Protocol):
    """What a server's protocol is, once it is made: ``connections`` are those that are there."""

    transport: Any
    connections: set[Any]


@dataclass(eq=False, slots=True)
class Guest:
    """One connection. ``user`` is who is logged in with it, "" for a stranger."""

    machine: str
    user: str = ""
    beginning: asyncio.Task[None] | None = None
    connection: Connection | None = None

    @property
    def here(self) -> bool:
        """Whether it still takes a place."""
        if self.connection is None:
            return self.beginning is None or not self.beginning.done()
        return self.connection in self.connection.connections

    def drop(self) -> None:
        """End it."""
        if self.connection is not None:
            self.connection.transport.abort()
        elif self.beginning is not None:
            self.beginning.cancel()


class Guests:
    """All of them, in the order in which they came."""

    def __init__(self) -> None:
        self._all: list[Guest] = []

    def enter(self, machine: str) -> Guest:
        """Let one more in from a machine."""
        self._all = [one for one in self._all if one.here]
        strangers = [one for one in self._all if not one.user]
        of_it = [one for one in strangers if one.machine == machine]
        if len(of_it) >= _MOST_STRANGERS:
            self._drop(of_it[0])
        elif len(self._all) >= _MOST:
            self._drop(_one_of_most(strangers or self._all))
        self._all.append(guest := Guest(machine))
        return guest

    def _drop(self, guest: Guest) -> None:
        self._all.remove(guest)
        guest.drop()


def _one_of_most(crowd: list[Guest]) -> Guest:
    """Return the first of the user, or else of the machine, that has most of these."""
    counted = Counter(one.user or one.machine for one in crowd)
    return max(crowd, key=lambda one: counted[one.user or one.machine])


class Pace:
    """So many at once, then one in each so many seconds. ``now`` is a monotonic time in seconds.

    No more are waited for than may be connected: a crowd that asks and hangs up would make all who come
    later wait for hours, and each of its requests would be kept as long.
    """

    def __init__(self, now: Callable[[], float], at_once: int, each_s: float) -> None:
        self._now, self._ahead, self._each = now, at_once * each_s, each_s
        self._next = now() - self._ahead

    def wait(self) -> float:
        """Return for how many seconds the next one is to wait."""
        now = self._now()
        due = max(self._next, now - self._ahead) + self._each
        self._next = min(due, now + _MOST * self._each)
        return max(0.0, self._next - now)
