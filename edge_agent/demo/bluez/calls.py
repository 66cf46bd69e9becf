"""What a client may ask of the fake bluetoothd, and how it answers."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from dbus_fast import Message

from edge_agent.demo.bluez.air import (
    ADAPTER,
    CHARACTERISTIC,
    DEVICE,
    MONITORS,
    Adapter,
    Characteristic,
    Peripheral,
    Properties,
)
from edge_agent.demo.bluez.wire import OBJECTS, PROPERTIES, variant, variants
from edge_agent.demo.bluez.world import World

_MTU = 247
_ABORT_S = 0.01  # after which a link that came up is lost again, where it is said to
_OWN_COPY_S = 1.0  # by then the message has its own copy of a descriptor


class Refusal(Exception):  # noqa: N818 - an answer, and no error of ours
    """The call is answered by this D-Bus error."""

    def __init__(self, name: str, text: str = "") -> None:
        self.name = name if "." in name else f"org.bluez.Error.{name}"
        self.text = text or name
        super().__init__(self.name, self.text)


class Reply(NamedTuple):
    """What a call is answered by."""

    signature: str = ""
    body: list[Any] = []  # noqa: RUF012 - never changed
    descriptors: list[int] = []  # noqa: RUF012 - never changed


Later = Callable[[Coroutine[Any, Any, None]], None]
"""Runs a coroutine beside the answer."""


async def answer(world: World, message: Message, later: Later) -> Reply:
    """Carry a call out. Raises Refusal."""
    path = message.path or "/"
    asked = f"{message.interface}.{message.member}"
    if asked == f"{OBJECTS}.GetManagedObjects":
        told = {
            path: {interface: variants(properties) for interface, properties in interfaces.items()}
            for path, interfaces in world.objects().items()
        }
        return Reply("a{oa{sa{sv}}}", [told])
    adapter = world.adapters.get((path.split("/") + [""] * 4)[3])
    if adapter is not None and message.path == adapter.path:
        return _of_adapter(world, adapter, message)
    device = _device(adapter, path)
    if device is None:
        raise Refusal(
            "org.freedesktop.DBus.Error.UnknownObject", f'Method "{message.member}" on unknown object'
        )
    if message.path == device.path:
        return await _of_device(world, device, message, later)
    characteristic = next((each for each in device.characteristics if each.path == message.path), None)
    if (
        characteristic is None
        or not device.properties["ServicesResolved"]
        or message.interface != CHARACTERISTIC
    ):
        raise Refusal(
            "org.freedesktop.DBus.Error.UnknownObject", f'Method "{message.member}" on unknown object'
        )
    return await _of_characteristic(world, characteristic, message)


def _device(adapter: Adapter | None, path: str) -> Peripheral | None:
    devices = adapter.devices.values() if adapter else ()
    return next((each for each in devices if each.present and f"{path}/".startswith(f"{each.path}/")), None)


def _properties(
    message: Message, interface: str, known: Properties, change: Callable[[str, Any], None]
) -> Reply:
    match message.member:
        case "GetAll":
            return Reply("a{sv}", [variants(known)])
        case "Get":
            return Reply("v", [variant(message.body[1], known[message.body[1]])])
        case "Set":
            change(message.body[1], message.body[2].value)
            return Reply()
    raise Refusal("org.freedesktop.DBus.Error.UnknownMethod", f"{interface}: {message.member}")


def _of_adapter(world: World, adapter: Adapter, message: Message) -> Reply:
    name = adapter.path.rpartition("/")[2]
    if message.interface == PROPERTIES:

        def change(key: str, value: Any) -> None:
            if key == "Powered":
                world.set_powered(value, name)
            else:
                world.change(adapter.path, ADAPTER, adapter.properties, {key: value})

        return _properties(message, ADAPTER, adapter.properties, change)
    if message.interface == MONITORS and adapter.passive:
        _of_monitors(adapter, message)
    elif message.interface == ADAPTER and message.member == "RemoveDevice":
        device = adapter.devices.get(message.body[0])
        if device is None or not device.present:
            raise Refusal("DoesNotExist", "Does Not Exist")
        world.forget(device)
    elif message.interface == ADAPTER:
        _of_discovery(world, adapter, message)
    else:
        raise Refusal("org.freedesktop.DBus.Error.UnknownMethod", f"No such method {message.member}")
    return Reply()


def _of_monitors(adapter: Adapter, message: Message) -> None:
    key = (message.sender, message.body[0])
    match message.member:
        case "RegisterMonitor" if key in adapter.monitors:
            raise Refusal("AlreadyExists", "Already Exists")
        case "RegisterMonitor":
            adapter.monitors[key] = None  # its patterns come when the client exports them
        case "UnregisterMonitor" if key not in adapter.monitors:
            raise Refusal("DoesNotExist", "Does Not Exist")
        case _:
            del adapter.monitors[key]


def _of_discovery(world: World, adapter: Adapter, message: Message) -> None:
    client = message.sender
    if message.member not in {"SetDiscoveryFilter", "StartDiscovery", "StopDiscovery"}:
        raise Refusal("org.freedesktop.DBus.Error.UnknownMethod", f"No such method {message.member}")
    if not adapter.properties["Powered"]:
        raise Refusal("NotReady", "Resource Not Ready")
    match message.member:
        case "SetDiscoveryFilter":
            adapter.filters[client] = {key: told.value for key, told in message.body[0].items()}
        case "StartDiscovery" if client in adapter.sessions:
            raise Refusal("InProgress", "Operation already in progress")
        case "StartDiscovery":
            adapter.sessions.add(client)
            if not adapter.properties["Discovering"]:
                world.change(adapter.path, ADAPTER, adapter.properties, {"Discovering": True})
        case "StopDiscovery" if client not in adapter.sessions:
            raise Refusal("Failed", "No discovery started")
        case _:
            adapter.sessions.discard(client)
            if not adapter.sessions:
                world.end_discovery(adapter)


async def _of_device(world: World, device: Peripheral, message: Message, later: Later) -> Reply:
    known = device.properties
    if message.interface == PROPERTIES:
        return _properties(
            message, DEVICE, known, lambda key, value: world.change(device.path, DEVICE, known, {key: value})
        )
    match message.member:
        case "Connect" if not known["Connected"]:
            await asyncio.sleep(device.connect_delay)
            if device.connect_error == "le-connection-abort-by-local":  # the link came up, and was lost
                world.change(device.path, DEVICE, known, {"Connected": True})
                asyncio.get_running_loop().call_later(_ABORT_S, world.drop, device)
            if device.connect_error:
                raise Refusal("Failed", device.connect_error)
            world.change(device.path, DEVICE, known, {"Connected": True})
            later(_resolve(world, device))
        case "Disconnect":
            world.drop(device)
        case "Pair":
            world.change(device.path, DEVICE, known, {"Paired": True, "Bonded": True})
    return Reply()


async def _resolve(world: World, device: Peripheral) -> None:
    await asyncio.sleep(device.resolve_delay)
    if device.present and device.properties["Connected"]:
        world.wire.added(device.objects())
        world.change(device.path, DEVICE, device.properties, {"ServicesResolved": True})


async def _of_characteristic(world: World, asked: Characteristic, message: Message) -> Reply:
    match message.member:
        case "ReadValue" if "read" in asked.flags:
            made = asked.value() if callable(asked.value) else asked.value
            value = await made if isinstance(made, Awaitable) else made
            world.wire.changed(asked.path, CHARACTERISTIC, {"Value": value})
            return Reply("ay", [value])
        case "StartNotify" if message.sender in asked.notifying:
            raise Refusal("InProgress", "Operation already in progress")
        case "StartNotify" if {"notify", "indicate"} & set(asked.flags):
            asked.notifying.add(message.sender)
            return Reply()
        case "StopNotify":
            asked.notifying.discard(message.sender)
            return Reply()
        case "AcquireNotify":
            asked.quiet()
            asked.acquired, theirs = socket.socketpair(
                socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK
            )
            descriptor = theirs.detach()
            asyncio.get_running_loop().call_later(_OWN_COPY_S, os.close, descriptor)
            return Reply("hq", [0, _MTU], [descriptor])
    raise Refusal("NotSupported", "Operation is not supported")
