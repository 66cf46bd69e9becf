"""A second, small client of the system bus: it sees what becomes of bluetoothd and of an adapter.

bleak 3.1 watches the socket of the bus alone: when bluetoothd restarts, or an adapter loses its power, its
scan is deaf and says nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

log = logging.getLogger(__name__)

ADAPTER = "org.bluez.Adapter1"
CALL_S = 10.0
_BUS = "org.freedesktop.DBus"
_RULES = (
    f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg0='org.bluez'",
    f"type='signal',sender='org.bluez',interface='{_BUS}.ObjectManager'",
    f"type='signal',sender='org.bluez',interface='{_BUS}.Properties',arg0='{ADAPTER}'",
)
LOST = (OSError, EOFError, TimeoutError, DBusFastError)
"""What a call raises when the bus is not there, is gone, or lets nobody in."""


class Event(Enum):
    """What happened. GOOD: it is worth trying again now. LOST: all that runs is dead, connections too."""

    GOOD = "good"
    LOST = "lost"
    SCAN_ENDED = "scan ended"


class Watcher:
    """Tells ``on_event(event, what)`` of one adapter, for as long as ``run`` runs."""

    def __init__(self, adapter: str, on_event: Callable[[Event, str], None], retry: float = 5.0) -> None:
        self._retry = retry
        self._path = f"/org/bluez/{adapter}"
        self._on_event = on_event
        self._bus: MessageBus | None = None
        self.watching = asyncio.Event()  # what happens is seen

    async def run(self) -> None:
        """Watch for ever, also across restarts of the system bus."""
        while True:
            bus = None
            try:
                bus = MessageBus(bus_type=BusType.SYSTEM)
                async with asyncio.timeout(CALL_S):
                    await bus.connect()
                    bus.add_message_handler(self._heard)
                    for rule in _RULES:
                        await called(bus, _rule(rule))
                self._bus = bus
                self.watching.set()
                self._on_event(Event.GOOD, "the system bus is there")
                await bus.wait_for_disconnect()  # type: ignore[no-untyped-call] # dbus-fast 5.2 leaves it untyped
            except LOST as error:
                log.debug("no system bus: %s", error)
            finally:
                self._bus = None
                self.watching.clear()
                if bus is not None:
                    bus.disconnect()
            self._on_event(Event.LOST, "the system bus is gone")
            await asyncio.sleep(self._retry)

    async def power(self, on: bool) -> None:  # noqa: FBT001 - a switch
        """Switch the adapter's radio. Raises what LOST names."""
        if self._bus is None:
            raise ConnectionError("the system bus is gone")
        message = Message(
            destination="org.bluez",
            path=self._path,
            interface=f"{_BUS}.Properties",
            member="Set",
            signature="ssv",
            body=[ADAPTER, "Powered", Variant("b", on)],
        )
        async with asyncio.timeout(CALL_S):
            await called(self._bus, message)

    def _heard(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        match message.member:
            case "NameOwnerChanged":
                if message.body[2]:
                    self._on_event(Event.GOOD, "bluetoothd is there")
                else:
                    self._on_event(Event.LOST, "bluetoothd is gone")
            case "InterfacesAdded" if message.body[0] == self._path and ADAPTER in message.body[1]:
                self._on_event(Event.GOOD, "the adapter is there")
            case "InterfacesRemoved" if message.body[0] == self._path and ADAPTER in message.body[1]:
                self._on_event(Event.LOST, "the adapter is gone")
            case "PropertiesChanged" if message.path == self._path:
                self._changed(message.body[1])

    def _changed(self, new: dict[str, Variant]) -> None:
        if "Powered" in new:
            if new["Powered"].value:
                self._on_event(Event.GOOD, "the adapter has power")
            else:
                self._on_event(Event.LOST, "the adapter has no power")
        elif "Discovering" in new and not new["Discovering"].value:
            self._on_event(Event.SCAN_ENDED, "the scan ended")


def _rule(rule: str) -> Message:
    return Message(
        destination=_BUS,
        path="/org/freedesktop/DBus",
        interface=_BUS,
        member="AddMatch",
        signature="s",
        body=[rule],
    )


async def called(bus: MessageBus, message: Message) -> list[Any]:
    """Call, and return what is answered. Raises what LOST names."""
    reply = await bus.call(message)
    if reply.message_type is MessageType.ERROR:
        raise OSError(f"{message.member}: {reply.error_name}: {reply.body}")
    return list(reply.body)
