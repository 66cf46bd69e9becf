"""Whether an adapter has power, asked once."""

import asyncio

from dbus_fast import BusType, Message
from dbus_fast.aio import MessageBus

from edge_agent.bus.ble.watcher import ADAPTER, CALL_S, LOST, called


def powered(adapter: str) -> bool:
    """Ask bluetoothd.

    Raises:
        OSError: there is no bluetoothd, or no such adapter.
    """
    return asyncio.run(_powered(adapter))


async def _powered(adapter: str) -> bool:
    message = Message(
        destination="org.bluez",
        path=f"/org/bluez/{adapter}",
        interface="org.freedesktop.DBus.Properties",
        member="Get",
        signature="ss",
        body=[ADAPTER, "Powered"],
    )
    bus = None
    try:
        bus = MessageBus(bus_type=BusType.SYSTEM)
        async with asyncio.timeout(CALL_S):
            await bus.connect()
            (answer,) = await called(bus, message)
    except LOST as error:
        raise OSError(str(error) or type(error).__name__) from None
    finally:
        if bus is not None:
            bus.disconnect()
    return bool(answer.value)
