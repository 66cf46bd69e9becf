"""A file of nothing beside the outbox: taken away when the disk is full, it gives room to commit."""

import os
from contextlib import suppress
from pathlib import Path

_BYTES = 1_000_000
_SPARE = 8  # times as much must be free before it is made


def make(outbox: Path) -> None:
    """Put it there when there is room for it, really allocated; one that is there stays."""
    path = _path(outbox)
    with suppress(OSError):  # a disk that takes nothing tells so elsewhere
        disk = os.statvfs(outbox.parent)
        if path.exists() or disk.f_bavail * disk.f_frsize < _SPARE * _BYTES:
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.posix_fallocate(descriptor, 0, _BYTES)
        except OSError:
            path.unlink()
        finally:
            os.close(descriptor)


def drop(outbox: Path) -> bool:
    """Take it away. Returns whether that gave room."""
    try:
        _path(outbox).unlink()
    except OSError:
        return False
    return True


def _path(outbox: Path) -> Path:
    return outbox.with_name(outbox.name + ".ballast")
