"""Who may log in: a file of names, roles and argon2id hashes beside the outbox."""

import ctypes
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge_agent.settings.atomic_write import replace_file

if TYPE_CHECKING:
    from argon2 import PasswordHasher  # loaded with the first password that somebody types

Role = Literal["viewer", "operator"]
ROLES: tuple[Role, ...] = ("viewer", "operator")

SHORTEST = 10
"""Letters of a password, at least: what OWASP asks for beside a limit of attempts."""

_LONGEST = 200
_NAME = re.compile(r"[\w.-]{1,32}")


@dataclass(frozen=True, slots=True)
class User:
    """One who may log in."""

    hash: str
    role: Role


class UsersError(Exception):
    """The file cannot be used. The message names it and the remedy."""


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # noqa: PLC0415 - as above

    # Once argon2 has freed its 19 MiB, glibc would keep that much for itself from then on, and the agent
    # would stay as large as at its first login. With a fixed M_MMAP_THRESHOLD, mallopt(3), all goes back.
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(-3, 1 << 20)
    # OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobody() -> str:
    """Return a hash with which an unknown name takes as long as a wrong password."""
    return _hasher().hash("nobody")


def place(outbox: Path) -> Path:
    """Return where the users of an agent with this outbox are."""
    return outbox.with_name("console.json")


def read(file: Path) -> Mapping[str, User]:
    """Return all users; none where there is no file.

    Raises:
        UsersError: it is damaged, or may not be read.
    """
    try:
        told = json.loads(file.read_text("utf-8"))
        return {
            str(name): User(str(user["hash"]), next(role for role in ROLES if role == user["role"]))
            for name, user in told["users"].items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsersError(f"{file}: {error.strerror}; let the agent's user read it") from None
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        raise UsersError(
            f"{file}: is damaged; remove it, and set a password with edge-agent console password"
        ) from None


def set_password(file: Path, name: str, password: str, role: Role) -> None:
    """Let someone log in from now on.

    Raises:
        ValueError: the password is too short or too long.
        UsersError, OSError: the file cannot be used.
    """
    if not SHORTEST <= len(password) <= _LONGEST:
        raise ValueError(
            f"a password has {SHORTEST} to {_LONGEST} letters; a few words are easier to keep in mind"
        )
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name to log in with; write at most 32 letters, digits, and . _ -")
    users = {**read(file), name: User(_hasher().hash(password), role)}
    _write(file, users)


def remove(file: Path, name: str) -> None:
    """Keep someone out from now on.

    Raises:
        LookupError: nobody has this name.
        UsersError, OSError: the file cannot be used.
    """
    users = dict(read(file))
    if users.pop(name, None) is None:
        raise LookupError(f"{name} has no login; there are: {', '.join(users) or 'none'}")
    _write(file, users)


def _write(file: Path, users: Mapping[str, User]) -> None:
    """Write the file anew; a first one is its folder's owner's, the service's, also where root writes it."""
    new = not file.exists()
    replace_file(file, json.dumps({"users": {name: asdict(user) for name, user in users.items()}}), 0o600)
    if new:
        owner = file.parent.stat()
        os.chown(file, owner.st_uid, owner.st_gid)


def verify(users: Mapping[str, User], name: str, password: str) -> bool:
    """Say whether a password is right. Takes a twentieth of a second and 19 MiB on purpose: on a thread."""
    from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415 - as above

    user, nobody = users.get(name), _nobody()  # made at the first login of whomever: it takes time, too
    try:
        _hasher().verify(user.hash if user else nobody, password[:_LONGEST])
    except (Argon2Error, InvalidHashError):
        return False
    return user is not None
