"""The fake bluetoothd: owns org.bluez on the bus, answers its clients, and can fail in their ways."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from dbus_fast import BusType, Message, MessageType, NameFlag
from dbus_fast.aio import MessageBus

from edge_agent.demo.bluez.air import MONITOR
from edge_agent.demo.bluez.calls import Refusal, Reply, answer
from edge_agent.demo.bluez.wire import OBJECTS
from edge_agent.demo.bluez.world import World

_MOST_PATTERNS = 16  # in one monitor, by the kernel's management interface
_RULES = (
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'",
    f"type='signal',interface='{OBJECTS}',member='InterfacesAdded'",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """How one call goes wrong: an error, late, never answered; ``after``: carried out all the same."""

    error: Refusal | None = None
    delay: float = 0.0
    hang: bool = False
    after: bool = False


class FakeBlueZ:
    """A bluetoothd with a ``world`` behind it. ``calls`` are the members that were called, in order."""

    def __init__(self) -> None:
        self.world = World()
        self.calls: list[str] = []
        self._faults: dict[str, deque[Fault]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take the name org.bluez on the system bus."""
        bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
        self.world.wire.open(bus)
        bus.add_message_handler(self._heard)
        for rule in _RULES:
            await bus.call(
                Message(
                    destination="org.freedesktop.DBus",
                    path="/org/freedesktop/DBus",
                    interface="org.freedesktop.DBus",
                    member="AddMatch",
                    signature="s",
                    body=[rule],
                )
            )
        await bus.request_name("org.bluez", NameFlag.REPLACE_EXISTING)
        self.world.wire.added({each.path: each.interfaces for each in self.world.adapters.values()})

    async def crash(self) -> None:
        """Die as by SIGKILL: the name goes, nothing is said, everything is forgotten."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        bus = self.world.wire.bus
        self.world.wire.close()
        if bus is not None:
            with contextlib.suppress(OSError, EOFError):
                await bus.wait_for_disconnect()  # type: ignore[no-untyped-call] # dbus-fast 5.2 leaves it untyped
        self.world.lose_all()

    async def stop(self) -> None:
        """End as by systemctl stop: objects go first, then the name."""
        for adapter in self.world.adapters.values():
            for device in adapter.devices.values():
                self.world.forget(device)
            self.world.wire.removed(adapter.path, list(adapter.interfaces))
        await self.world.wire.drained()
        await self.crash()

    def fail(self, member: str, fault: Fault, times: int = 1) -> None:
        """Let the next calls of a member go wrong."""
        self._faults.setdefault(member, deque()).extend([fault] * times)

    def _heard(self, message: Message) -> bool | None:
        if message.message_type is MessageType.SIGNAL:
            if message.member == "NameOwnerChanged" and not message.body[2]:
                self.world.client_gone(message.body[0])
            elif message.member == "InterfacesAdded" and MONITOR in message.body[1]:
                self._monitored(message)
            return None
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if (message.interface or "").startswith("org.freedesktop.DBus.Peer"):
            return None
        member = message.member or ""
        self.calls.append(member)
        faults = self._faults.get(member)
        self._later(self._answered(message, faults.popleft() if faults else Fault()))
        return True

    def _monitored(self, message: Message) -> None:
        """Take a monitor's patterns, which its client exports after it has registered the monitor."""
        path, interfaces = message.body
        told = [(at, kind, bytes(content)) for at, kind, content in interfaces[MONITOR]["Patterns"].value]
        fits = len(told) <= _MOST_PATTERNS
        for adapter in self.world.adapters.values():
            if (message.sender, path) in adapter.monitors:
                adapter.monitors[message.sender, path] = told if fits else None
                verdict = "Activate" if fits else "Release"
                self.world.wire.send(
                    Message(destination=message.sender, path=path, interface=MONITOR, member=verdict)
                )

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answered(self, message: Message, fault: Fault) -> None:
        reply = Reply()
        try:
            if fault.hang:
                await asyncio.Event().wait()
            if fault.after:
                reply = await answer(self.world, message, self._later)
            await asyncio.sleep(fault.delay)
            if fault.error is not None:
                raise fault.error
            if not fault.after:
                reply = await answer(self.world, message, self._later)
        except Refusal as refusal:
            self.world.wire.send(Message.new_error(message, refusal.name, refusal.text))
        else:
            self.world.wire.send(
                Message.new_method_return(message, reply.signature, reply.body, reply.descriptors)
            )
