"""The last warnings and errors of the log, in memory, for who cannot look into the journal."""

import logging
from collections import deque
from typing import NamedTuple

LINES = 200
_LONGEST = 2_000  # letters, with a traceback


class Line(NamedTuple):
    """One line. ``ts`` is in ms, by the machine's clock, right or not."""

    ts: int
    level: str
    name: str
    text: str


class RecentLog(logging.Handler):
    """Keeps them. Until something is wrong it costs nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines = deque[Line](maxlen=LINES)
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        text = self.format(record)
        if len(text) > _LONGEST:  # of a traceback the end says what it was
            text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
        self.lines.append(Line(round(record.created * 1000), record.levelname, record.name, text))


def kept() -> RecentLog | None:
    """Return that of this process; None where none was begun."""
    return next((one for one in logging.getLogger().handlers if isinstance(one, RecentLog)), None)
