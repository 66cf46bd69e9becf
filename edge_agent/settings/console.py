"""The table of agent.toml about the operators' web page."""

import re
from ipaddress import ip_address
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from edge_agent.settings.fields import ReadableFile
from edge_agent.settings.table import Table

_PORTS = 65_536
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]\s]+)):([0-9]{1,5})")


def _listen(text: str) -> str:
    if text:
        parsed = _ADDRESS.fullmatch(text)
        if parsed is None or not 0 < int(parsed[3]) < _PORTS:
            raise ValueError('is no address to listen at; write address:port, such as "127.0.0.1:8080"')
        try:
            ip_address(parsed[1] or parsed[2])
        except ValueError:
            raise ValueError(
                'names no address of this machine; write its number, such as "127.0.0.1:8080"'
            ) from None
    return text


Listen = Annotated[str, AfterValidator(_listen)]
"""``address:port``, or "" for nowhere."""


def split(listen: str) -> tuple[str, int]:
    """Return address and port."""
    address, _, port = listen.rpartition(":")
    return address.strip("[]"), int(port)


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
        return ip_address(self.address[0]).is_loopback

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
