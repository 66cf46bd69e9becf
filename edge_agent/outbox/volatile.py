"""Where readings are kept when the card has turned read-only: in memory, in an outbox of its own epoch."""

import errno
import os
import stat
from pathlib import Path

from edge_agent.outbox.store import OutboxError

_SHARE = 4  # at most one part in four of the free memory
_MEMORY = ("/run", "/dev/shm")  # noqa: S108 - what is made there is for this user alone


def is_read_only(path: Path) -> bool:
    """Say whether the file system under an outbox takes nothing any more, or never did."""
    folder = next(parent for parent in path.parents if parent.exists())
    if _flags(folder) & os.ST_RDONLY:
        return True
    if folder != path.parent:
        return False  # it is to be made
    probe = folder / f".{path.name}.probe"  # since Linux 6.15 ext4 hides that it gave up
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        probe.unlink()
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def _flags(folder: Path) -> int:
    try:
        return os.statvfs(folder).f_flag
    except OSError:  # a card that answers nothing takes nothing either
        return os.ST_RDONLY


def place(gateway: str) -> Path:
    """Return where the volatile outbox of a gateway lies; its folder is there.

    Raises:
        OutboxError: there is no memory to be written to.
    """
    folders = _folders(gateway)
    for folder in folders:
        if _is_ours(folder):
            return folder / "outbox.db"
    raise OutboxError(
        f"the card is read-only, and none of {', '.join(map(str, folders))} can be written; replace the card"
    )


def left(gateway: str) -> Path | None:
    """Return the volatile outbox of a gateway that an earlier run left behind, None where there is none."""
    found = (folder / "outbox.db" for folder in _folders(gateway))
    return next((file for file in found if _is_ours(file.parent, make=False) and _holds(file)), None)


def aside(path: Path) -> Path:
    """Return where a volatile outbox lies while it is taken over by the durable one."""
    return path.with_name(path.name + ".aside")


def _holds(path: Path) -> bool:
    return path.exists() or aside(path).exists()


def _folders(gateway: str) -> list[Path]:
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    memory = [Path(memory, f"edge-agent-{os.geteuid()}-{gateway}") for memory in _MEMORY]
    return [Path(given), *memory] if given else memory


def size(path: Path, max_size: int) -> int:
    """How many bytes a volatile outbox may have."""
    memory = os.statvfs(path.parent)
    return min(max_size, memory.f_bavail * memory.f_frsize // _SHARE)


def _is_ours(folder: Path, *, make: bool = True) -> bool:
    try:
        if make:
            folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and os.access(folder, os.W_OK | os.X_OK)
    )
