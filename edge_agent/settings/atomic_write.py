"""Replaces a file atomically: readers see the old content or the new, never half of it."""

import os
import shutil
from pathlib import Path


def replace_file(path: Path, text: str, mode: int | None = None) -> None:
    """Replace a file's text atomically, with its owner and mode; a new file gets ``mode``.

    Raises:
        OSError: it cannot be written; then it is as it was.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            if path.exists():
                shutil.copymode(path, fresh)
                was = path.stat()
                os.chown(file.fileno(), was.st_uid, was.st_gid)
            elif mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
