"""What a bus's ``port`` may name: a serial device of this machine, or one that a network leads to. No I/O."""

from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

_MODBUS_TCP = 502  # MODBUS Messaging on TCP/IP V1.0b, 3.1.3
_EXAMPLES = (
    "write a serial device by its path, such as /dev/serial/by-id/... or /dev/ttyUSB0, or "
    "socket://host:port, rfc2217://host:port or modbus-tcp://host:port"
)

Kind = Literal["tty", "socket", "rfc2217", "modbus-tcp"]
_KINDS: dict[str, Kind] = {"socket": "socket", "rfc2217": "rfc2217", "modbus-tcp": "modbus-tcp"}


@dataclass(frozen=True, slots=True)
class Address:
    """A port's name, understood. ``host`` and ``number`` are empty for a tty."""

    text: str
    kind: Kind = "tty"
    host: str = ""
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a port's name.

        Raises:
            ValueError: it names nothing that is supported; the message says what is.
        """
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls(text)
        kind = _KINDS.get(scheme)
        if kind is None:
            raise ValueError(f"{scheme}:// is not supported; {_EXAMPLES}")
        try:
            parts = urlsplit(f"//{rest}")
            host, number = parts.hostname, parts.port
        except ValueError:
            parts = None
            host, number = None, None
        if number is None and kind == "modbus-tcp":
            number = _MODBUS_TCP
        if parts is None or not host or not number or parts.netloc != rest or "@" in rest:
            raise ValueError(f"{scheme}:// needs a host and a port and nothing else; {_EXAMPLES}")
        return cls(text, kind, host, number)
