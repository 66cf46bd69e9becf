"""The fake's way onto the bus: replies and signals, in order, no faster than they are taken."""

import asyncio
import os
import select
from collections import deque
from typing import Any

from dbus_fast import Message, Variant
from dbus_fast.aio import MessageBus

from edge_agent.demo.bluez.air import Objects, Properties

OBJECTS, PROPERTIES = "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Properties"

_SIGNATURES = {
    "RSSI": "n", "TxPower": "n", "ManufacturerData": "a{qv}", "ServiceData": "a{sv}", "UUIDs": "as",
    "Roles": "as", "Flags": "as", "Value": "ay", "MTU": "q", "Adapter": "o", "Device": "o", "Service": "o",
    "Includes": "ao", "SupportedMonitorTypes": "as", "AdvertisingFlags": "ay", "Class": "u",
    "Manufacturer": "q",
}  # fmt: skip
_PLAIN = {bool: "b", str: "s", int: "u", bytes: "ay"}


def variant(name: str, value: Any) -> Variant:
    """Return a property's value as it travels."""
    if name in {"ManufacturerData", "ServiceData"}:
        value = {key: Variant("ay", said) for key, said in value.items()}
    return Variant(_SIGNATURES.get(name) or _PLAIN[type(value)], value)


def variants(properties: Properties) -> dict[str, Variant]:
    """Return properties as they travel."""
    return {name: variant(name, value) for name, value in properties.items()}


class Wire:
    """Sends messages; ``bus`` is None while the daemon is not there.

    dbus-fast 5.2 gives a bus up when its socket is full, so each message waits until there is room.
    """

    def __init__(self) -> None:
        self.bus: MessageBus | None = None
        self._waiting: deque[Message] = deque()
        self._poll = select.poll()
        self._descriptor = -1

    def open(self, bus: MessageBus) -> None:
        """Send on this bus from now on."""
        self.bus = bus
        assert bus._fd is not None  # noqa: SLF001
        self._descriptor = os.dup(bus._fd)  # noqa: SLF001 - dbus-fast does not tell of room
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def close(self) -> None:
        """Drop what waits, and leave the bus."""
        if self.bus is None:
            return
        asyncio.get_running_loop().remove_writer(self._descriptor)
        os.close(self._descriptor)
        self._waiting.clear()
        self.bus.disconnect()
        self.bus = None

    def send(self, message: Message) -> None:
        """Send a message when there is room for it."""
        if self.bus is None or not self.bus.connected:
            return
        if not self._waiting and self._poll.poll(0):
            self._put(message)
            return
        if not self._waiting:
            asyncio.get_running_loop().add_writer(self._descriptor, self._flush)
        self._waiting.append(message)

    def _put(self, message: Message) -> None:
        assert self.bus is not None
        self.bus.send(message).add_done_callback(lambda sent: sent.cancelled() or sent.exception())

    def _flush(self) -> None:
        while self._waiting and self.bus is not None and self._poll.poll(0):
            self._put(self._waiting.popleft())
        if not self._waiting:
            asyncio.get_running_loop().remove_writer(self._descriptor)

    async def drained(self) -> None:
        """Wait until all that was sent is on the bus."""
        while self._waiting:  # noqa: ASYNC110 - whoever floods the bus waits a moment
            await asyncio.sleep(0.001)

    def added(self, objects: Objects) -> None:
        """Signal new objects."""
        for path, interfaces in objects.items():
            told = {interface: variants(properties) for interface, properties in interfaces.items()}
            self._signal("/", OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, told])

    def removed(self, path: str, interfaces: list[str]) -> None:
        """Signal that an object is gone."""
        self._signal("/", OBJECTS, "InterfacesRemoved", "oas", [path, interfaces])

    def changed(self, path: str, interface: str, new: Properties, gone: tuple[str, ...] = ()) -> None:
        """Signal that an object's properties are other ones."""
        body = [interface, variants(new), list(gone)]
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", body)

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        self.send(Message.new_signal(path, interface, member, signature, body))
