"""A device that is connected to for a moment: connect, read, disconnect."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bleak import BleakClient
from bleak.exc import BleakCharacteristicNotFoundError, BleakGATTProtocolError

from edge_agent.bus.ble.radio import ERRORS, Radio
from edge_agent.driver import Garbled, NoAnswer, Refused

_CONNECT_S = 30.0
_READ_S = 10.0
_DISCONNECT_S = 5.0
_LONGEST_VALUE = 512  # Bluetooth Core Specification 5.4, Vol 3, Part F, 3.2.9


class Connection:
    """The characteristics of a device that is connected. This is the contract's Gatt."""

    def __init__(self, client: BleakClient, lost: asyncio.Event) -> None:
        self._client, self._lost = client, lost

    async def read(self, characteristic: str) -> bytes:
        """Return a characteristic's value by its 128-bit UUID. Raises NoAnswer, Garbled, Refused."""
        if self._lost.is_set():
            raise NoAnswer("the connection is lost")
        try:
            async with asyncio.timeout(_READ_S):
                value = bytes(await self._client.read_gatt_char(characteristic))
        except (BleakCharacteristicNotFoundError, BleakGATTProtocolError) as error:
            raise Refused(f"{characteristic[4:8]} is not to be read: {error}") from error
        except ERRORS as error:
            raise NoAnswer(
                f"{characteristic[4:8]} cannot be read: {str(error) or type(error).__name__}"
            ) from error
        if len(value) > _LONGEST_VALUE:
            raise Garbled(f"{characteristic[4:8]} has {len(value)} bytes")
        return value


@asynccontextmanager
async def connected(radio: Radio, address: str) -> AsyncIterator[Connection]:
    """Connect to a device that was heard, for as long as the context lasts; never to two at a time.

    Raises:
        NoAnswer: it was not heard, or cannot be connected to.
    """
    async with radio.connecting:
        device = radio.seen.get(address)
        if device is None:
            raise NoAnswer("it was not heard yet; is it near, and does it broadcast?")
        client = BleakClient(device, timeout=_CONNECT_S)
        try:
            try:
                async with asyncio.timeout(_CONNECT_S):
                    await client.connect()
            except ERRORS as error:
                if "not found" in str(error):  # BlueZ has forgotten it: wait until it is heard again
                    radio.seen[address] = None
                raise NoAnswer(f"cannot be connected to: {str(error) or type(error).__name__}") from error
            yield Connection(client, radio.lost)
        finally:
            with contextlib.suppress(*ERRORS):
                async with asyncio.timeout(_DISCONNECT_S):
                    await client.disconnect()
