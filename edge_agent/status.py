"""One snapshot of the running agent. The demo, the health topic and, later, every other view show this."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edge_agent.reading import Quality, Value

Availability = Literal["online", "late", "offline"]


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """How one device does. ``heard_s`` is the age of its last good frame in seconds, None before the first.

    ``seq`` is the number of the last kept reading, 0 before the first. ``faults`` counts by kind. ``units``
    has the UCUM code of every channel, ``values`` the last known good or suspect value of some of them.
    """

    id: str
    name: str
    driver: str
    availability: Availability
    heard_s: float | None
    seq: int
    values: Mapping[str, Value]
    quality: Mapping[str, Quality]
    units: Mapping[str, str]
    faults: Mapping[str, int]
    problem: str


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """How one uplink does, in readings. What it was never owed counts nowhere.

    ``protocol`` is "5", "3.1.1", or "" while not connected. ``drain_s`` is the time in seconds until the
    backlog is sent, at the measured rate; None while that is not known, and when no backlog is being sent.
    """

    name: str
    connected: bool
    server: str
    protocol: str
    acknowledged: int
    backlog: int
    in_flight: int
    problem: str
    drain_s: float | None = None


@dataclass(frozen=True, slots=True)
class BusStatus:
    """How one bus does since the agent started. ``problem`` is "" while its port is well.

    ``exchanges`` counts requests, or the frames of a device that speaks unasked; ``failures`` what went wrong
    with some, by kind; ``skipped`` bytes that were in no frame; ``reopened`` how often the port came back.
    ``busy`` is the share of the last minute or so in which the bus was taken, 0 to 1; None where nobody is
    asked.
    """

    id: str
    port: str
    problem: str
    reopened: int
    exchanges: int
    failures: Mapping[str, int]
    skipped: int
    busy: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """The whole agent. Counts are since the outbox was made; ``backlog`` is what is owed now.

    ``kept`` readings are on disk; ``waiting`` ones are in memory until the next commit; ``lost`` ones are
    in the loss ledger. ``clock`` is "synchronised" or "unsynchronised".
    """

    site: str
    gateway: str
    epoch: str
    uptime_s: float
    kept: int
    waiting: int
    lost: int
    clock: str
    disk_free_mb: int
    rss_mb: int
    problem: str
    devices: tuple[DeviceStatus, ...]
    uplinks: tuple[UplinkStatus, ...]
    buses: tuple[BusStatus, ...] = ()
