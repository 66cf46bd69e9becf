"""What is in the air: virtual BLE devices, and the adapters that hear them."""

import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_agent.driver import service

ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
SERVICE, CHARACTERISTIC = "org.bluez.GattService1", "org.bluez.GattCharacteristic1"
MONITORS, MONITOR = "org.bluez.AdvertisementMonitorManager1", "org.bluez.AdvertisementMonitor1"

Properties = dict[str, Any]
Objects = dict[str, dict[str, Properties]]
"""Properties by the path of an object, then by interface."""

Pattern = tuple[int, int, bytes]
"""Where in an element, of what type (0x16 service data, 0xFF manufacturer data), and what stands there."""

_FLAGS, _NAME, _SERVICE_DATA, _MANUFACTURER_DATA = 0x01, 0x09, 0x16, 0xFF
_BASE = service(0)[8:]


@dataclass
class Characteristic:
    """One GATT characteristic. ``value`` is what a read gets: bytes, or what makes them."""

    uuid: str
    value: bytes | Callable[[], bytes | Awaitable[bytes]] = b""
    flags: tuple[str, ...] = ("read", "notify")
    notifying: set[str] = field(default_factory=set)  # by client
    acquired: socket.socket | None = None  # of AcquireNotify
    path: str = ""

    def quiet(self) -> None:
        """Nobody is notified any more."""
        self.notifying.clear()
        if self.acquired is not None:
            self.acquired.close()
            self.acquired = None


@dataclass
class Peripheral:
    """A virtual device. ``services`` are its characteristics by the UUID of their service."""

    address: str
    name: str = ""
    services: Mapping[str, list[Characteristic]] = field(default_factory=dict)
    connect_delay: float = 0.0
    resolve_delay: float = 0.0
    connect_error: str = ""  # such as le-connection-timeout, le-connection-abort-by-local
    path: str = ""
    properties: Properties = field(default_factory=dict)
    present: bool = False  # BlueZ has an object for it

    @property
    def characteristics(self) -> Iterator[Characteristic]:
        """All of them."""
        return (each for listed in self.services.values() for each in listed)

    @property
    def service_paths(self) -> Iterator[tuple[str, str, list[Characteristic]]]:
        """The path and the UUID of each service, and its characteristics."""
        handle = 0x10
        for uuid, characteristics in self.services.items():
            yield f"{self.path}/service{handle:04x}", uuid, characteristics
            handle += 2 + 2 * len(characteristics)

    def place(self, adapter: str) -> None:
        """Take a place below an adapter's path, with all characteristics."""
        self.path = f"{adapter}/dev_{self.address.replace(':', '_')}"
        for path, _, characteristics in self.service_paths:
            for number, each in enumerate(characteristics):
                each.path = f"{path}/char{number:04x}"

    def objects(self) -> Objects:
        """Return its services and characteristics as BlueZ shows them."""
        found: Objects = {}
        for path, uuid, characteristics in self.service_paths:
            found[path] = {SERVICE: {"UUID": uuid, "Device": self.path, "Primary": True, "Includes": []}}
            for each in characteristics:
                found[each.path] = {
                    CHARACTERISTIC: {
                        "UUID": each.uuid, "Service": path, "Flags": list(each.flags), "MTU": 247,
                        "Notifying": False, "NotifyAcquired": False, "Value": b"",
                    }
                }  # fmt: skip
        return found


class Adapter:
    """A radio. ``filters``, ``sessions`` and ``monitors`` belong to clients, by their names on the bus."""

    def __init__(self, name: str, address: str, *, powered: bool, passive: bool) -> None:
        self.path, self.passive = f"/org/bluez/{name}", passive
        self.properties: Properties = {
            "Address": address, "AddressType": "public", "Name": f"fake-{name}", "Alias": f"fake-{name}",
            "Class": 0, "Powered": powered, "Discoverable": False, "Pairable": False, "Discovering": False,
            "UUIDs": [], "Modalias": "usb:v1D6Bp0246d0542", "Roles": ["central", "peripheral"],
            "Manufacturer": 0xB1EA,
        }  # fmt: skip
        self.filters: dict[str, Properties] = {}
        self.sessions: set[str] = set()
        self.monitors: dict[tuple[str, str], list[Pattern] | None] = {}
        self.devices: dict[str, Peripheral] = {}

    @property
    def interfaces(self) -> dict[str, Properties]:
        """What BlueZ shows of it."""
        found: dict[str, Properties] = {ADAPTER: self.properties}
        if self.passive:
            found[MONITORS] = {"SupportedMonitorTypes": ["or_patterns"]}
        return found

    def forget_clients(self) -> None:
        """Nobody scans any more."""
        self.filters.clear()
        self.sessions.clear()
        self.monitors.clear()

    def hears(self, uuids: Iterable[str], rssi: int, elements: Iterable[tuple[int, bytes]]) -> bool:
        """Say whether an advertisement is of interest to anyone."""
        elements = list(elements)
        if any(_matches(patterns, elements) for patterns in self.monitors.values() if patterns):
            return True
        return any(_passes(self.filters.get(client, {}), set(uuids), rssi) for client in self.sessions)

    @property
    def duplicates(self) -> bool:
        """Whether anyone wants to hear what has not changed."""
        return any(self.filters.get(client, {}).get("DuplicateData", True) for client in self.sessions)


def elements(
    name: str, flags: int | None, services: Mapping[str, bytes], makers: Mapping[int, bytes]
) -> Iterator[tuple[int, bytes]]:
    """Return an advertisement's elements: the type and the bytes of each."""
    if flags is not None:
        yield _FLAGS, bytes([flags])
    if name:
        yield _NAME, name.encode()
    for uuid, said in services.items():
        if uuid.endswith(_BASE):
            yield _SERVICE_DATA, bytes.fromhex(uuid[4:8])[::-1] + said
    for company, said in makers.items():
        yield _MANUFACTURER_DATA, company.to_bytes(2, "little") + said


def _matches(patterns: Iterable[Pattern], found: Iterable[tuple[int, bytes]]) -> bool:
    return any(
        wanted == type_ and said[at : at + len(content)] == content
        for at, wanted, content in patterns
        for type_, said in found
    )


def _passes(told: Properties, uuids: set[str], rssi: int) -> bool:
    wanted = set(told.get("UUIDs", ()))
    return rssi >= told.get("RSSI", -127) and (not wanted or bool(wanted & uuids))
