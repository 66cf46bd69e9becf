"""As whom the agent runs, and what that user may do with a file: root may ask for the service's user."""

import grp
import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SERVICE = "edge-agent"
PORTS = "dialout"
"""The group that the service's unit adds to its user."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody, with all his groups."""

    name: str
    uid: int
    gids: frozenset[int]

    def may(self, path: Path, *, read: bool = True, write: bool = False, enter: bool = False) -> bool:
        """Judge by owner, group and mode of a path and of the folders above it.

        Raises:
            OSError: it is not there, or may not be looked at.
        """
        there = path.resolve(strict=True)
        wanted = read * stat.S_IROTH | write * stat.S_IWOTH | enter * stat.S_IXOTH
        return self._has(there, wanted) and all(self._has(folder, stat.S_IXOTH) for folder in there.parents)

    def _has(self, path: Path, wanted: int) -> bool:
        if self.uid == 0:
            return True
        facts = path.stat()
        shift = 6 if facts.st_uid == self.uid else 3 if facts.st_gid in self.gids else 0
        return (facts.st_mode >> shift) & wanted == wanted


def agents_user() -> User:
    """Return as whom the agent will run: for root the service's user, if there is one; else who asks."""
    if os.geteuid() == 0:
        try:
            entry = pwd.getpwnam(SERVICE)
        except KeyError:
            return User("root", 0, frozenset({0}))
        gids = {*os.getgrouplist(SERVICE, entry.pw_gid)}
        with suppress(KeyError):
            gids.add(grp.getgrnam(PORTS).gr_gid)
        return User(SERVICE, entry.pw_uid, frozenset(gids))
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"user {uid}"
    return User(name, uid, frozenset({os.getegid(), *os.getgroups()}))
