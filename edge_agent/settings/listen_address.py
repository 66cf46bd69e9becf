"""The address at which the console or the metrics listen."""

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator

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


def is_local(listen: str) -> bool:
    """Say whether nobody beyond this machine can reach it."""
    return ip_address(split(listen)[0]).is_loopback
