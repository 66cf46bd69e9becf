"""The history of edits: who changed the configuration, when, and the texts; kept beside the outbox."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

Outcome = Literal["begun", "applied", "refused"]

TEXTS = 20
"""How many of the last changes can be undone: of these the texts are kept."""
_MOST = 500


@dataclass(frozen=True, slots=True)
class Change:
    """One change. ``ts`` is in ms, None where no clock could be trusted.

    ``before`` and ``after`` are the texts, None once they are not kept any more. One that stays ``begun`` was
    cut off by a power cut.
    """

    number: int
    ts: int | None
    by: str
    words: tuple[str, ...]
    outcome: Outcome
    before: str | None
    after: str | None


class History:
    """All changes of one agent, a file for each. Its methods read and write the disk: on a thread.

    All raise OSError where the disk does not take it.
    """

    def __init__(self, outbox: Path) -> None:
        self._folder = outbox.with_name(f"{outbox.name}.changes")

    def all(self, below: int = sys.maxsize) -> Iterator[Change]:
        """Yield the changes with a number below ``below``, the newest first; damaged files are left out."""
        for file in reversed(self._files()):
            if int(file.stem) < below and (change := _read(file)) is not None:
                yield change

    def find(self, number: int) -> Change | None:
        """Return the change with a number; None if it is not kept."""
        return _read(self._file(number))

    def begin(self, ts: int | None, by: str, words: tuple[str, ...], texts: tuple[str, str]) -> Change:
        """Record that a change is about to be written, and drop what is too old."""
        files = self._files()
        number = int(files[-1].stem) + 1 if files else 1
        change = Change(number, ts, by, words, "begun", *texts)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._write(change)
        for file in files[: -_MOST + 1]:
            file.unlink(missing_ok=True)
        for file in reversed(files[: -TEXTS + 1]):
            if (old := _read(file)) is None:
                continue
            if old.before is None:
                break  # and so are all before it; a kill may have left more than one
            self._write(replace(old, before=None, after=None))
        return change

    def end(self, change: Change, outcome: Outcome) -> None:
        """Record the outcome of a change."""
        self._write(replace(change, outcome=outcome))

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*.json"))

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:08}.json"

    def _write(self, change: Change) -> None:
        file = self._file(change.number)
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(asdict(change), opened)
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(file)


def _read(file: Path) -> Change | None:
    try:
        fields = json.loads(file.read_text("utf-8"))
        return Change(**{**fields, "words": tuple(fields["words"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
