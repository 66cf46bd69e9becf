"""Time that passes only when nothing else can happen: hours of a wire in seconds, the same each time."""

import asyncio
import os
import socket

from edge_agent.bus.address import Address
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.bus.stream import ByteStream


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never sleeps: with nothing to read it goes on to its next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 1000.0
        ready = self._selector.select  # type: ignore[attr-defined]

        def select(timeout: float | None = None) -> list[object]:
            events: list[object] = ready(0)
            if not events:
                assert timeout is not None, "nothing will ever happen"
                self._virtual += timeout
            return events

        self._selector.select = select  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._virtual


class Pair:
    """One end of a socket pair: a medium that hands over at once."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setblocking(False)
        self.descriptor = end.fileno()

    def read(self) -> bytes:
        return os.read(self.descriptor, 4096)

    def encode(self, sent: bytes) -> bytes:
        return sent

    def set_speed(self, speed: int) -> None:
        raise ValueError(f"a pair has no speed, so not {speed}")

    def close(self) -> None:
        self._end.close()


def opener(end: socket.socket) -> object:
    """Return what stands in for ``open_stream``."""

    async def opened(
        address: Address, serial_format: SerialFormat, _direction: str, on_lost: object
    ) -> ByteStream:
        def lost(error: BusError) -> None:
            assert callable(on_lost)
            on_lost(error)

        return ByteStream(address.text, Pair(end), serial_format, lost)

    return opened
