"""A configuration made of what a BLE adapter heard: whole enough for ``edge-agent check``."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from edge_agent.onsite.senders import Sender, best
from edge_agent.onsite.snippet import HEAD
from edge_agent.onsite.toml_text import id_of, value

_OF_THE_FRAME = "packet_id"  # a number of the broadcast, no value of the device
_ADDRESS_END = 5  # of "A4:C1:38:00:11:22", which is on many labels


def air_snippet(adapter: str, senders: Iterable[Sender]) -> str:
    """Return an agent.toml for the devices that an adapter hears, "" where none is known."""
    devices = [_device(sender, name) for sender, name in _named(senders)]
    if not devices:
        return ""
    lines = [*HEAD, "", "[bus.radio]", f"ble = {value(adapter)}"]
    for device in devices:
        lines += ["", *device]
    return "\n".join(lines) + "\n"


def secret_of(name: str) -> str:
    """Return what the secret with a device's key is called."""
    return f"{name}-key"


def _named(senders: Iterable[Sender]) -> Iterator[tuple[Sender, str]]:
    taken: Counter[str] = Counter()
    for sender in senders:
        end = sender.address[-_ADDRESS_END:].replace(":", "")
        name = id_of(f"{best(sender).driver}-{end}", "device")
        taken[name] += 1
        yield sender, name if taken[name] == 1 else f"{name}-{taken[name]}"


def _device(sender: Sender, name: str) -> Iterator[str]:
    known = best(sender)
    settings: dict[str, Any] = {"address": sender.address}
    yield f"[device.{name}]                # {known.title}{_called(sender)}"
    yield f"driver = {value(known.driver)}"
    yield 'bus = "radio"'
    yield 'interval = "60s"'
    if known.needs_key:
        secret = secret_of(name)
        settings["bindkey"] = {"secret": secret}
        yield f"# It encrypts: write its key, 32 hex digits, into /etc/edge-agent/secrets/{secret}."
    elif known.takes_reports:
        settings["reports"] = [channel for channel in known.values if channel != _OF_THE_FRAME]
    yield f"settings = {value(settings)}"
    yield f"# now, at {sender.signal} dBm: {known.shown_values()}"
    for other in sender.known.values():
        if other is not known:
            yield f"# fits as well: {other.driver}: {other.shown_values()}"


def _called(sender: Sender) -> str:
    printable = "".join(letter for letter in sender.name if letter.isprintable())
    return f", it calls itself {printable!r}" if printable else ""
