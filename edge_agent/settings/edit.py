"""Change a configuration file as its owner would: comments and order stay, and never half of it is there."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import tomlkit


def changed(text: str, table: str, values: Mapping[str, str]) -> str:
    """Return the text of a file with these values in one of its tables, and all else as it was."""
    document = tomlkit.parse(text)
    for key, value in values.items():
        document[table][key] = value
    return tomlkit.dumps(document)


def replace_file(path: Path, text: str) -> None:
    """Write a file anew, at once and for good, with the mode and the owner that it had.

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
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
