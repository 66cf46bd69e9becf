"""Put a secret where the agent finds it and nobody else reads it."""

import grp
import os
from contextlib import suppress
from pathlib import Path

from edge_agent.settings.secret import FOLDER

_GROUP = "edge-agent"


def secrets_folder() -> Path:
    """Return where secrets are looked up first."""
    return Path(os.environ.get("CREDENTIALS_DIRECTORY") or FOLDER)


def place_secret(name: str, secret: str) -> Path:
    """Write a secret as a file of its own, mode 0640, for the agent's group where there is one.

    Raises:
        OSError: it cannot be written.
    """
    folder = secrets_folder()
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o750)
        _give(folder)
    file, fresh = folder / name, folder / f".{name}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with open(descriptor, "w", encoding="utf-8") as opened:  # noqa: PTH123 - a descriptor, with its mode
        os.fchmod(descriptor, 0o640)
        opened.write(f"{secret}\n")
        opened.flush()
        os.fsync(descriptor)
    _give(fresh)
    fresh.replace(file)
    return file


def _give(path: Path) -> None:
    """Let the agent's group read it, where there is such a group and we may do that."""
    with suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(_GROUP).gr_gid)
