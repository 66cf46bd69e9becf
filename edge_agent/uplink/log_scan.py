"""How far one connection has read the log. Pure."""

from edge_agent.row import Row


class LogScan:
    """Where the forward scan of the log stands. Rows up to ``limit`` are backlog, later ones live."""

    def __init__(self) -> None:
        self.cursor = 1
        self.limit = 0

    @property
    def more(self) -> bool:
        """Whether the log still has rows to be read."""
        return self.cursor <= self.limit

    def begin(self, scan_from: int, last_id: int) -> None:
        """A session begins: all that is on disk and owed is backlog."""
        self.cursor, self.limit = scan_from, last_id

    def extend(self, last_id: int) -> None:
        """Live rows up to this one were dropped from memory: the log has them."""
        self.limit = last_id

    def advance(self, rows: list[Row], upto: int) -> None:
        """A piece of the log was read; nothing means that there is no more up to there."""
        self.cursor = rows[-1].id + 1 if rows else upto + 1
