"""One device that is to be in a new configuration, written in one line: ``id=meter-7 driver=modbus ...``."""

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from edge_agent.onsite.toml_text import id_of, read_value, value

if TYPE_CHECKING:
    from edge_agent.onsite.scan import Found
    from edge_agent.onsite.senders import Known, Sender

FORM = "id=meter-7 driver=modbus port=/dev/ttyUSB0 profile=eastron_sdm120 address=7"
_ADDRESS_END = 5  # of "A4:C1:38:00:11:22", which is on many labels
_OF_THE_FRAME = "packet_id"  # a number of the broadcast, no value of the device
_OWN = ("id", "driver", "port", "ble", "serial", "interval", "name", "place", "note")


@dataclass(slots=True)
class Wanted:
    """A device as the installer wants it. Its bus is a ``port``, or the adapter ``ble``.

    ``note`` is what a person should look at: it becomes a comment.
    """

    id: str
    driver: str
    settings: dict[str, Any] = field(default_factory=dict)
    port: str = ""
    ble: str = ""
    serial: str = ""
    interval: str = ""
    name: str = ""
    place: str = ""
    note: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a line; the words that are not the device's own are its driver's settings.

        Raises:
            ValueError: it is no such line.
        """
        own: dict[str, str] = {}
        settings: dict[str, Any] = {}
        for word in shlex.split(text):
            key, equals, content = word.partition("=")
            if not equals:
                raise ValueError(f"{word!r} is not KEY=VALUE; write it as: {FORM}")
            if key in _OWN:
                own[key] = content
            else:
                settings[key] = read_value(content)
        missing = [key for key in ("id", "driver") if not own.get(key)]
        if missing or bool(own.get("port")) == bool(own.get("ble")):
            raise ValueError(
                f"{text!r} lacks {', '.join(missing) or 'one of port= and ble='}; write it as: {FORM}"
            )
        return cls(settings=settings, **own)

    def __str__(self) -> str:
        own = [(key, getattr(self, key)) for key in _OWN if getattr(self, key)]
        settings = [(key, one if isinstance(one, str) else value(one)) for key, one in self.settings.items()]
        return " ".join(shlex.quote(f"{key}={one}") for key, one in own + settings)


def from_line(port: str, found: "Found", choice: int = 0) -> Wanted:
    """Return what was found on a port, under one of the fits."""
    fit = found.fits[choice]
    notes = [f"now: {fit.shown_values()}", *(f"in doubt: {doubt}" for doubt in fit.doubts)]
    name = id_of("-".join((fit.name, *found.who.split()[-1:])), "device")
    return Wanted(name, fit.driver, dict(fit.settings), port=port, serial=found.serial, note="; ".join(notes))


def from_air(adapter: str, sender: "Sender", known: "Known") -> Wanted:
    """Return a sender that an adapter hears, as one driver knows it. A key is still to be given."""
    settings: dict[str, Any] = {"address": sender.address}
    if known.takes_reports and not known.needs_key:
        settings["reports"] = [channel for channel in known.values if channel != _OF_THE_FRAME]
    name = id_of(f"{known.driver}-{sender.address[-_ADDRESS_END:].replace(':', '')}", "device")
    note = f"now, at {sender.signal} dBm: {known.shown_values()}"
    return Wanted(name, known.driver, settings, ble=adapter, interval="60s", note=note)
