"""Reads the agent's configuration: the files, or the last good one if these cannot be used."""

import logging
from collections.abc import Sequence
from pathlib import Path

from edge_agent.settings import last_good
from edge_agent.settings.error import Problem, SettingsError
from edge_agent.settings.load import Loaded, load_what_runs

log = logging.getLogger(__name__)


class Source:
    """The files of one agent.toml. ``problems`` says why the agent started with the last good configuration.

    ``strict``: it does not begin so.
    """

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        self.problems: Sequence[Problem] = ()
        self.path, self._strict = path, strict
        self._read: Loaded | None = None

    def begin(self) -> Loaded:
        """Return the configuration to start with.

        Raises:
            SettingsError: the files cannot be used, and there is no last good configuration.
        """
        try:
            return self.read()
        except SettingsError as error:
            if self._strict:
                raise
            found = last_good.find(self.path)
            if found is None:
                raise
            self.problems = error.problems
            return found

    def read(self) -> Loaded:
        """Return what the files say now. Raises SettingsError when they cannot be used."""
        self._read = load_what_runs(self.path)
        return self._read

    def ran(self) -> None:
        """Save what was read last as the last good configuration, since it runs."""
        if self._read is None:
            return
        try:
            last_good.keep(self.path, self._read)
        except OSError as error:
            log.warning("the last good configuration cannot be kept (%s)", error)
