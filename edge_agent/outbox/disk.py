"""The disk under an outbox: whether it takes readings, and what is said when it does not."""

import logging
import sqlite3
from pathlib import Path

from edge_agent.outbox import ballast, volatile
from edge_agent.outbox.store import is_no_space

log = logging.getLogger(__name__)

_READ_ONLY_TRIES = 3  # at commits, with a growing pause between them


class Disk:
    """Hears of every commit. ``problem`` says why the disk takes nothing now, "" while it does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._read_only = 0  # tries since it was seen to be read-only

    @property
    def read_only(self) -> bool:
        """Whether it takes nothing any more: the card has given up."""
        return self._read_only >= _READ_ONLY_TRIES

    def took(self) -> None:
        """A commit is on it."""
        self._read_only = 0
        if self.problem:
            log.warning("outbox: the disk takes readings again")
        self.problem = ""

    def refused(self, error: sqlite3.Error, waiting: int) -> bool:
        """It did not take a commit, while so many readings wait; return True to try again at once."""
        if is_no_space(error) and ballast.drop(self.path):
            log.warning("outbox: the disk is full; what was set aside for this gives room; free space")
            return True
        self._read_only = self._read_only + 1 if volatile.is_read_only(self.path) else 0
        problem = f"the disk does not take readings ({error}); free space, or check the card"
        if not self.problem:
            log.error("outbox: %s; %d readings wait in memory", problem, waiting)
        self.problem = problem
        return False
