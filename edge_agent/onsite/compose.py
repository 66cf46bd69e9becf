"""Write a whole agent.toml, with comments, from what an installer answered. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_agent.bus.address import Address
from edge_agent.onsite.toml_text import id_of, value
from edge_agent.onsite.wanted import Wanted
from edge_agent.text.formatting import plain

_RADIO = "radio"


@dataclass(slots=True)
class Answers:
    """What an installer says. ``secret`` is the name of the file that holds the broker's password."""

    site: str = ""
    gateway: str = ""
    uplink: str = "city"
    broker: str = ""
    username: str = ""
    secret: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    devices: list[Wanted] = field(default_factory=list)

    def uplink_table(self) -> dict[str, Any]:
        """Return the uplink as it stands in the file, without defaults."""
        table: dict[str, Any] = {"servers": [self.broker]}
        for key in ("username", "ca", "cert", "key"):
            if told := getattr(self, key):
                table[key] = told
        if self.secret:
            table["password"] = {"secret": self.secret}
        return table


_COMMENTS = {
    "servers": "tried in turn; mqtt:// without TLS, mqtts:// with",
    "password": "a file in the secrets folder; never in here",
}
_TUNING = (
    '#spread = "30s"                           # a backlog begins after a random part of this',
    "#commands = false                         # true: the backend may ask for replays and readings",
)


def compose(answers: Answers) -> str:
    """Return the file."""
    lines = [
        "# Written by `edge-agent init`. It is yours now: `edge-agent check` says whether it is right.",
        "# A line that begins with # and a key shows what holds without it, or an example.",
        "",
        "config = 1                                # version of this file's shape",
        "",
        "[gateway]",
        f"site = {value(answers.site)}",
        f"id = {value(answers.gateway)}".ljust(42) + "# readings are numbered under it: choose it once",
        '#name = "Pump house"',
        '#timezone = "UTC"                         # for people only',
        "",
        "[outbox]",
        '#window = "1s"                            # the most a power cut may take; longer spares the card',
        '#max_size = "512MB"                       # `edge-agent plan` says how long an outage that survives',
        "",
        *_uplink(answers),
    ]
    for bus, (place, devices) in _buses(answers.devices).items():
        lines += ["", *_bus(bus, place, devices)]
    if not answers.devices:
        lines += ["", "# No device yet: `edge-agent scan serial` and `edge-agent scan ble` find them."]
    return "\n".join(lines) + "\n"


def _uplink(answers: Answers) -> Iterator[str]:
    if not answers.broker:
        yield "# Without an uplink everything is kept and nothing is sent."
        yield f"#[uplink.{answers.uplink}]"
        yield '#servers = ["mqtts://broker.example:8883"]'
        return
    yield f"[uplink.{answers.uplink}]"
    for key, told in answers.uplink_table().items():
        comment = _COMMENTS.get(key, "")
        yield (f"{key} = {value(told)}".ljust(41) + (f" # {comment}" if comment else "")).rstrip()
    yield from _TUNING


def _buses(devices: Sequence[Wanted]) -> Mapping[str, tuple[Wanted, list[Wanted]]]:
    """Group devices by their port or adapter, each under a name of its own."""
    names: dict[tuple[str, str], str] = {}
    found: dict[str, tuple[Wanted, list[Wanted]]] = {}
    for one in devices:
        place = one.port, one.ble
        if place not in names:
            plain = _RADIO if one.ble else id_of(one.port.rstrip("/").rpartition("/")[2], "bus")
            taken = sum(name == plain or name.startswith(f"{plain}-") for name in names.values())
            names[place] = f"{plain}-{taken + 1}" if taken else plain
            found[names[place]] = one, []
        found[names[place]][1].append(one)
    return found


def _bus(name: str, place: Wanted, devices: Sequence[Wanted]) -> Iterator[str]:
    yield f"[bus.{name}]"
    serial = ""
    if place.ble:
        yield f"ble = {value(place.ble)}"
    else:
        yield f"port = {value(place.port)}"
        formats = Counter(one.serial for one in devices if one.serial)
        if formats and Address.parse(place.port).kind != "modbus-tcp":
            serial = formats.most_common(1)[0][0]
            yield f"serial = {value(serial)}"
    for one in devices:
        yield ""
        yield from _device(one, name, serial)


def _device(one: Wanted, bus: str, serial: str) -> Iterator[str]:
    off = "# " if serial and one.serial not in {"", serial} else ""
    if off:
        yield f"# The next one is set to {one.serial}: set it to {serial}, or give it a port of its own."
    yield f"{off}[device.{one.id}]"
    yield f"{off}driver = {value(one.driver)}".ljust(41) + f" # `edge-agent drivers page {one.driver}`"
    yield f"{off}bus = {value(bus)}"
    if one.settings:
        yield f"{off}settings = {value(one.settings)}"
    yield f"{off}interval = {value(one.interval)}" if one.interval else '#interval = "10s"'
    yield f"{off}name = {value(one.name)}" if one.name else '#name = "Hall B feed"'
    yield f"{off}place = {value(one.place)}" if one.place else '#place = "building-b/floor-1"'
    for note in filter(None, one.note.split("; ")):
        yield f"# {' '.join(plain(note).split())}"
