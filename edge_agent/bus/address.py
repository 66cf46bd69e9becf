"""What a bus's ``port`` may name: a serial device of this machine or of a network, or a contact. No I/O."""

import re
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

_MODBUS_TCP = 502  # MODBUS Messaging on TCP/IP V1.0b, 3.1.3
_EXAMPLES = (
    "write a serial device by its path, such as /dev/serial/by-id/... or /dev/ttyUSB0, or "
    "socket://host:port, rfc2217://host:port or modbus-tcp://host:port"
)
_CONTACT = re.compile(r"contact://(?P<device>/[^?]+)\?line=(?P<line>cts|dsr|ri|dcd)")
_PIN = re.compile(r"gpio://(?P<device>gpiochip\d{1,3})/(?P<line>\d{1,4})(\?pull=(?P<pull>up|down))?")

Kind = Literal["tty", "socket", "rfc2217", "modbus-tcp", "contact", "gpio"]
_KINDS: dict[str, Kind] = {"socket": "socket", "rfc2217": "rfc2217", "modbus-tcp": "modbus-tcp"}


@dataclass(frozen=True, slots=True)
class Address:
    """A port's name, understood. ``host`` and ``number`` are empty where no network leads there.

    A contact has a ``device`` and a ``line`` of it: a modem line, or the number of a pin, with its ``pull``.
    """

    text: str
    kind: Kind = "tty"
    host: str = ""
    number: int = 0
    device: str = ""
    line: str = ""
    pull: str = ""

    @property
    def is_contact(self) -> bool:
        """Whether it says levels, and has no serial format."""
        return bool(self.line)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a port's name.

        Raises:
            ValueError: it names nothing that is supported; the message says what is.
        """
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls(text)
        if scheme in {"contact", "gpio"}:
            return cls._contact(text)
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

    @classmethod
    def _contact(cls, text: str) -> Self:
        if found := _CONTACT.fullmatch(text):
            return cls(text, "contact", device=found["device"], line=found["line"])
        if found := _PIN.fullmatch(text):
            device, pull = f"/dev/{found['device']}", found["pull"] or ""
            return cls(text, "gpio", device=device, line=found["line"], pull=pull)
        raise ValueError(
            f"{text!r} is no contact; write contact:///dev/ttyUSB0?line=cts (or dsr, ri, dcd), or "
            "gpio://gpiochip0/17 (and ?pull=up or ?pull=down)"
        )
