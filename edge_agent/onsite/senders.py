"""Who broadcasts near a BLE adapter: which driver knows what they say, and how many others there are."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

from edge_agent import registry
from edge_agent.driver import (
    Advertisement,
    Beacon,
    BeaconSettings,
    Driver,
    Fault,
    Implausible,
    NotMine,
    Over,
)
from edge_agent.reading import Value
from edge_agent.text import formatting

_MOST_KNOWN, _MOST_OTHERS = 500, 2000  # the one that was silent for longest is forgotten first
_KEY = "bindkey"


@dataclass(slots=True)
class Known:
    """What a driver makes of a sender. ``needs_key``: it encrypts, and its key is not here."""

    driver: str
    title: str
    takes_reports: bool
    beacon: Beacon
    values: dict[str, tuple[Value, str]] = field(default_factory=dict)
    problem: str = ""
    needs_key: bool = False

    def shown_values(self, most: int = 6) -> str:
        """Write the first values in one line."""
        if self.needs_key:
            return "encrypted: it needs its key"
        texts = [f"{channel} {formatting.with_unit(*said)}" for channel, said in self.values.items()]
        rest = [f"and {len(texts) - most} more"] if len(texts) > most else []
        return ", ".join(texts[:most] + rest) or self.problem


@dataclass(slots=True)
class Sender:
    """One address. ``signal`` is in dBm, ``heard_at`` on the monotonic clock.

    ``says`` are the UUIDs and companies of what no driver knows.
    """

    address: str
    name: str
    signal: int
    heard_at: float
    known: dict[str, Known] = field(default_factory=dict)
    says: tuple[str, ...] = ()

    @property
    def age(self) -> float:
        """Seconds since it was heard last."""
        return monotonic() - self.heard_at


class Senders:
    """All that were heard. ``known`` and ``others`` are by address, who was heard last at the end."""

    def __init__(self) -> None:
        self.known: dict[str, Sender] = {}
        self.others: dict[str, Sender] = {}
        self.forgotten = 0
        self._drivers = {
            entry.name: entry.driver
            for entry in registry.entries()
            if entry.driver
            and entry.driver.over is Over.ADVERTISEMENTS
            and issubclass(entry.driver.settings, BeaconSettings)
        }

    def hear(self, advert: Advertisement, _new: bool = True) -> None:  # noqa: FBT001, FBT002 - as a radio tells
        """Take note of an advertisement."""
        sender = self.known.pop(advert.address, None) or self.others.pop(advert.address, None)
        if sender is None:
            sender = Sender(advert.address, "", 0, 0.0)
        sender.name = advert.name or sender.name
        sender.signal, sender.heard_at = advert.rssi, monotonic()
        for name, driver in self._drivers.items():
            if _may_be(driver, advert):
                _look(sender, name, driver, advert)
        place, most = (self.known, _MOST_KNOWN) if sender.known else (self.others, _MOST_OTHERS)
        if not sender.known:
            sender.says = (
                *(uuid[4:8] for uuid in advert.service_data),
                *(f"0x{company:04X}" for company in advert.manufacturer_data),
            )
        place[advert.address] = sender
        if len(place) > most:
            del place[next(iter(place))]
            self.forgotten += 1


def _may_be(driver: Driver[Any], advert: Advertisement) -> bool:
    cares = driver.broadcast
    return cares is not None and (
        any(uuid in advert.service_data for uuid in cares.services)
        or any(company in advert.manufacturer_data for company in cares.companies)
    )


def _look(sender: Sender, name: str, driver: Driver[Any], advert: Advertisement) -> None:
    """Let a driver decode an advertisement. What it knows nothing of leaves no trace."""
    known = sender.known.get(name)
    if known is None:
        fields = driver.settings.model_fields
        beacon = cast("Beacon", driver.open(driver.settings.model_validate({"address": sender.address})))
        known = Known(name, driver.title, "reports" in fields, beacon)
    try:
        samples = known.beacon.decode(advert)
    except NotMine:
        return  # of someone else, or said before
    except Fault as fault:
        known.problem = str(fault) or type(fault).__name__
        known.needs_key = isinstance(fault, Implausible) and _KEY in known.problem
        if not known.needs_key and not known.values:
            return
    else:
        units = {channel.name: channel.quantity.unit for channel in known.beacon.channels}
        known.values |= {channel: (value, units[channel]) for channel, value in samples if value is not None}
        known.problem, known.needs_key = "", False
    sender.known[name] = known


def kinds(senders: Mapping[str, Sender]) -> dict[str, int]:
    """Count senders by what they say first: a company id, the 16 bits of a service, or "" for neither."""
    return dict(Counter(one.says[0] if one.says else "" for one in senders.values()).most_common())


def best(sender: Sender) -> Known:
    """Return what a sender most probably is: what says most of it."""
    return max(sender.known.values(), key=lambda known: len(known.values))


def for_programs(sender: Sender) -> Mapping[str, Any]:
    """Return a sender for programs."""
    return {
        "address": sender.address,
        "name": sender.name,
        "signal": sender.signal,
        "age_s": round(sender.age, 1),
        "fits": [
            {"driver": one.driver, "encrypted": one.needs_key, "values": one.values, "problem": one.problem}
            for one in sender.known.values()
        ],
    }


def nearest_first(senders: Mapping[str, Sender]) -> Iterator[Sender]:
    """Return senders, who is heard best at the beginning."""
    return iter(sorted(senders.values(), key=lambda sender: (-sender.signal, sender.address)))
