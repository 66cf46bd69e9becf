"""What there is behind the fake bluetoothd, and how it changes: adapters, devices, advertisements, links."""

from collections.abc import Mapping

from edge_agent.demo.bluez.air import (
    ADAPTER,
    CHARACTERISTIC,
    DEVICE,
    MONITORS,
    SERVICE,
    Adapter,
    Characteristic,
    Objects,
    Peripheral,
    Properties,
    elements,
)
from edge_agent.demo.bluez.wire import Wire

_STEP_DB = 8  # a signal strength is told when it moved so far
_PUBLIC_ADDRESS = "0123"  # second digit of one that was bought; others are random


class World:
    """Adapters by name, each with its devices. Every change is signalled at once."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.adapters: dict[str, Adapter] = {}
        self.stalled = False  # a stuck scan: Discovering stays true, and nothing arrives

    def add_adapter(
        self,
        name: str = "hci0",
        address: str = "00:1A:7D:DA:71:13",
        *,
        powered: bool = True,
        passive: bool = True,
    ) -> Adapter:
        """Plug an adapter in. ``passive``: bluetoothd runs with --experimental."""
        adapter = self.adapters[name] = Adapter(name, address, powered=powered, passive=passive)
        self.wire.added({adapter.path: adapter.interfaces})
        return adapter

    def remove_adapter(self, name: str = "hci0") -> None:
        """Unplug an adapter."""
        adapter = self.adapters.pop(name)
        for device in adapter.devices.values():
            self.forget(device)
        self.wire.removed(adapter.path, [ADAPTER, MONITORS])

    def set_powered(self, on: bool, name: str = "hci0") -> None:  # noqa: FBT001 - a switch
        """Switch an adapter's radio."""
        adapter = self.adapters[name]
        if adapter.properties["Powered"] == on:
            return
        if not on:
            for device in adapter.devices.values():
                self.drop(device)
            adapter.sessions.clear()
            adapter.filters.clear()
            self.end_discovery(adapter)
        self.change(adapter.path, ADAPTER, adapter.properties, {"Powered": on})

    def add_peripheral(self, device: Peripheral, adapter: str = "hci0") -> Peripheral:
        """Bring a device into an adapter's reach."""
        heard_by = self.adapters[adapter]
        device.place(heard_by.path)
        heard_by.devices[device.path] = device
        return device

    def advertise(  # noqa: PLR0913 - an advertisement's parts
        self,
        device: Peripheral,
        *,
        services: Mapping[str, bytes] | None = None,
        makers: Mapping[int, bytes] | None = None,
        rssi: int = -60,
        uuids: tuple[str, ...] = (),
        flags: int | None = 0x06,
    ) -> bool:
        """Let a device send one advertisement. Returns whether that reached the bus."""
        adapter = self.adapters[device.path.split("/")[3]]
        services, makers = dict(services or {}), dict(makers or {})
        if self.wire.bus is None or not adapter.properties["Powered"] or self.stalled:
            return False
        if not adapter.hears(uuids, rssi, elements(device.name, flags, services, makers)):
            return False
        new = _news(device, adapter, services, makers) | _reached(device, rssi, {*uuids, *services})
        if device.present:
            if new:
                self.change(device.path, DEVICE, device.properties, new)
            return bool(new)
        device.present = True
        device.properties = {
            "Address": device.address, "Alias": device.name or device.address.replace(":", "-"),
            "AddressType": "public" if device.address[1] in _PUBLIC_ADDRESS else "random",
            "Adapter": adapter.path, "Paired": False, "Bonded": False, "Trusted": False, "Blocked": False,
            "LegacyPairing": False, "Connected": False, "ServicesResolved": False, "UUIDs": [], **new,
        }  # fmt: skip
        if device.name:
            device.properties["Name"] = device.name
        if flags is not None:
            device.properties["AdvertisingFlags"] = bytes([flags])
        self.wire.added({device.path: {DEVICE: device.properties}})
        return True

    def forget(self, device: Peripheral) -> None:
        """Drop a device that was not heard for a while (BlueZ: TemporaryTimeout, 30 s)."""
        if not device.present:
            return
        self.drop(device)
        for path, _, characteristics in reversed(list(device.service_paths)):
            for each in characteristics:
                self.wire.removed(each.path, [CHARACTERISTIC])
            self.wire.removed(path, [SERVICE])
        device.present, device.properties = False, {}
        self.wire.removed(device.path, [DEVICE])

    def drop(self, device: Peripheral) -> None:
        """Lose the link to a device."""
        if device.present and device.properties["Connected"]:
            for each in device.characteristics:
                each.quiet()
            self.change(device.path, DEVICE, device.properties, {"ServicesResolved": False})
            self.change(device.path, DEVICE, device.properties, {"Connected": False})

    def notify(self, characteristic: Characteristic, value: bytes) -> bool:
        """Let a device notify. Returns whether anyone had asked for that."""
        if characteristic.acquired is not None:
            characteristic.acquired.send(value)
            return True
        if characteristic.notifying:
            self.wire.changed(characteristic.path, CHARACTERISTIC, {"Value": value})
        return bool(characteristic.notifying)

    def change(
        self, path: str, interface: str, properties: Properties, new: Properties, gone: tuple[str, ...] = ()
    ) -> None:
        """Change an object's properties, and signal it."""
        properties.update(new)
        for name in gone:
            properties.pop(name, None)
        self.wire.changed(path, interface, new, gone)

    def end_discovery(self, adapter: Adapter) -> None:
        """Nobody discovers any more: BlueZ forgets how strong anyone was heard."""
        if not adapter.properties["Discovering"]:
            return
        for device in adapter.devices.values():
            if device.present and "RSSI" in device.properties:
                self.change(device.path, DEVICE, device.properties, {}, ("RSSI",))
        self.change(adapter.path, ADAPTER, adapter.properties, {"Discovering": False})

    def client_gone(self, client: str) -> None:
        """Take back what a client had: it left the bus."""
        for adapter in self.adapters.values():
            adapter.filters.pop(client, None)
            if client in adapter.sessions:
                adapter.sessions.discard(client)
                if not adapter.sessions:
                    self.end_discovery(adapter)
            adapter.monitors = {key: value for key, value in adapter.monitors.items() if key[0] != client}
            for device in adapter.devices.values():
                for each in device.characteristics:
                    each.notifying.discard(client)

    def lose_all(self) -> None:
        """Forget as a daemon does that was killed: nothing is signalled."""
        for adapter in self.adapters.values():
            adapter.forget_clients()
            adapter.properties["Discovering"] = False
            for device in adapter.devices.values():
                device.present, device.properties = False, {}
                for each in device.characteristics:
                    each.quiet()

    def objects(self) -> Objects:
        """Return all that BlueZ shows."""
        found: Objects = {"/org/bluez": {"org.bluez.AgentManager1": {}}}
        for adapter in self.adapters.values():
            found[adapter.path] = adapter.interfaces
            for device in adapter.devices.values():
                if device.present:
                    found[device.path] = {DEVICE: device.properties}
                    if device.properties["ServicesResolved"]:
                        found |= device.objects()
        return found


def _news(
    device: Peripheral, adapter: Adapter, services: dict[str, bytes], makers: dict[int, bytes]
) -> Properties:
    """Return what an advertisement changes in the data that BlueZ has of a device."""
    known = device.properties if device.present else {}
    new: Properties = {}
    for name, said in (("ServiceData", services), ("ManufacturerData", makers)):
        merged = dict(said) if adapter.duplicates else {**known.get(name, {}), **said}
        if said and (adapter.duplicates or merged != known.get(name)):
            new[name] = merged
    return new


def _reached(device: Peripheral, rssi: int, uuids: set[str]) -> Properties:
    """Return what an advertisement changes in how a device is heard, and in its services."""
    known = device.properties if device.present else {}
    new: Properties = {}
    if "RSSI" not in known or abs(known["RSSI"] - rssi) >= _STEP_DB:
        new["RSSI"] = rssi
    listed = set(known.get("UUIDs", []))
    if not uuids <= listed:
        new["UUIDs"] = sorted(listed | uuids)
    return new
