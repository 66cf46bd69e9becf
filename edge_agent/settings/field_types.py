"""What single values of the configuration may be: ids, paths, servers, secrets, numbers with units."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, SecretStr

from edge_agent.bus.address import Address
from edge_agent.bus.serial import SerialFormat
from edge_agent.contract.commands import COMMANDS
from edge_agent.driver_kit.text_pattern import form
from edge_agent.settings import secret, units
from edge_agent.text.suggestion import did_you_mean

ID_PATTERN = r"[a-z0-9][a-z0-9_-]{0,62}"
_LONGEST = 100  # letters of a wrong id that are shown


def _id(text: str) -> str:
    if re.fullmatch(ID_PATTERN, text):
        return text
    near = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:63]
    example = f", such as {near!r}" if near else ""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    raise ValueError(
        f"{shown!r} is not an id; write at most 63 of a-z, 0-9, - and _, the first a letter or digit{example}"
    )


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        known = available_timezones()
        if known:  # none at all: a system without the time zone files cannot tell
            hint = did_you_mean(name, known, 'write a name such as "Asia/Shanghai"', cutoff=0.6)
            raise ValueError(f"there is no time zone {name!r}; {hint}") from None
    return name


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("is not a full path; begin it with /")
    return path


def _no_folder(path: Path) -> Path:
    try:
        folder = path.is_dir()
    except OSError:  # on a way that may not be looked at: opening it says so
        folder = False
    if folder:
        raise ValueError(f"is a directory; write a file in it, such as {str(path / 'outbox.db')!r}")
    return path


def _port(port: str) -> str:
    if Address.parse(port).kind == "tty" and not port.startswith("/"):
        raise ValueError("is not a full path; begin it with /, such as /dev/ttyUSB0")
    return port


def _serial(text: str) -> str:
    SerialFormat.parse(text)
    return text


def _root(root: str) -> str:
    levels = root.split("/")
    if "" in levels or levels[0].startswith("$") or set(root) & set("+#\0 "):
        raise ValueError('cannot begin topics; write words with / between them, such as "park/v1"')
    return root


def _commands(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return tuple(COMMANDS) if value else ()
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError("is neither true nor false nor a list of commands")
    for name in value:
        if name not in COMMANDS:
            raise ValueError(f"{name!r} is no command; there are: {', '.join(COMMANDS)}")
    return tuple(value)


def _filter(text: str) -> str:
    levels = text.split("/")
    wild = any(len(level) > 1 and set(level) & set("+#") for level in levels)
    if not text or wild or "#" in levels[:-1] or text.startswith(("$", "#", "+")) or set(text) & set(" \0"):
        raise ValueError('is no filter of topics; write words with / between them, such as "park/answers/#"')
    return text


def _readable(path: Path) -> Path:
    if path.is_fifo():
        raise ValueError("is a pipe; write a file")
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(
            f"cannot be read ({error.strerror}); put the file there and let the agent's user read it"
        ) from None
    return path


@dataclass(frozen=True, slots=True)
class Server:
    """Where a broker listens."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def _server(url: Any) -> Server:
    try:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if "@" in parts.netloc:  # not shown: it may be a password
        raise ValueError("has a user or password in it; write username = and password = of their own")
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or port == 0:
        raise ValueError('is not a server; write "mqtt://host:port", or "mqtts://host:port" for TLS')
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("has more than a host and a port; write no path after them")
    tls = parts.scheme == "mqtts"
    return Server(parts.hostname, port or (8883 if tls else 1883), tls)


Id = Annotated[str, AfterValidator(_id)]
Timezone = Annotated[str, AfterValidator(_timezone)]
PortName = Annotated[str, AfterValidator(_port)]
SerialText = Annotated[str, AfterValidator(_serial)]
TopicRoot = Annotated[str, Field(max_length=200), AfterValidator(_root)]
TopicFilter = Annotated[str, Field(max_length=200), AfterValidator(_filter)]
CommandNames = Annotated[tuple[str, ...], BeforeValidator(_commands)]
Duration = Annotated[float, BeforeValidator(units.duration)]
Gap = Annotated[Duration, AfterValidator(units.Within(0, 10, '"0s" to "10s"'))]
Interval = Annotated[Duration, AfterValidator(units.Within(0.1, 31 * 86_400, '"100ms" to "31d"'))]
Size = Annotated[int, BeforeValidator(units.size)]
Packet = Annotated[Size, AfterValidator(units.Within(2000, 256e6, '"2KB" to "256MB"'))]
Count = Annotated[int, BeforeValidator(units.readings)]
FullPath = Annotated[Path, AfterValidator(_absolute)]
OutboxFile = Annotated[FullPath, AfterValidator(_no_folder)]
ReadableFile = Annotated[FullPath, AfterValidator(_readable)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Bound = Annotated[float, Field(strict=True)]
Above = Annotated[Number, AfterValidator(units.Within(1e-12, 1e300, "a number above 0"))]
Text = Annotated[str, Field(max_length=200)]
Adapter = Annotated[Text, form(r"|hci[0-9]{1,2}", "is no adapter; write one such as hci0")]
HostName = Annotated[
    Text, form(r"[A-Za-z0-9][A-Za-z0-9.-]*", "is no host name; write letters, digits, dots and -")
]
Alpn = Annotated[  # RFC 7301, 3.1: a name of 1 to 255 bytes
    str, Field(max_length=255), form(r"[!-~]+", "is no protocol's name; write letters, digits and signs")
]
Wildcards = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(max_length=100)]
OneServer = Annotated[Server, PlainValidator(_server), PlainSerializer(str)]
Password = Annotated[SecretStr, BeforeValidator(secret.text_or_secret)]
