"""The table of agent.toml about the operators' web page."""

from typing import Self

from pydantic import model_validator

from edge_agent.settings.field_types import ReadableFile
from edge_agent.settings.listen_address import Listen, is_local, split
from edge_agent.settings.table import Table


class Console(Table):
    """Where operators find the page; "": nowhere. Beyond this machine only with a certificate."""

    listen: Listen = ""
    cert: ReadableFile | None = None
    key: ReadableFile | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return split(self.listen)

    @property
    def is_local(self) -> bool:
        """Whether nobody beyond this machine can reach it."""
        return is_local(self.listen)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.key is not None and self.cert is None:
            raise ValueError("has a key without a certificate; add cert =")
        if self.listen and not self.is_local and self.cert is None:
            raise ValueError(
                'would send passwords in the clear; add cert = and key =, or listen at "127.0.0.1:8080" '
                "and reach it with ssh -L 8080:127.0.0.1:8080"
            )
        return self
