"""A byte stream over TCP: a serial server, or a device that speaks Modbus TCP."""

import asyncio
import errno
import os
import socket
from contextlib import suppress

from edge_agent.bus.address import Address
from edge_agent.bus.serial import BusError

OPEN_LIMIT = 10.0  # seconds, for finding the host and all of its addresses
SILENCE_LIMIT = 15  # seconds in which a peer's machine must acknowledge what was sent to it
_PROBES = 3  # that ask whether the peer is still there, within SILENCE_LIMIT, when nothing is said
_CHUNK = 4096


class Socket:
    """An open connection. The medium of a ``ByteStream``; its speed is a matter of the far end."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.descriptor = connected.fileno()

    def read(self) -> bytes:
        """Return what is there; no bytes when the peer has closed."""
        return os.read(self.descriptor, _CHUNK)

    def encode(self, sent: bytes) -> bytes:
        """Return what goes to the descriptor for bytes that are sent."""
        return sent

    def set_speed(self, speed: int) -> None:  # noqa: ARG002 - every medium has one
        """Refuse: a plain connection cannot tell its far end. Raises ValueError."""
        raise ValueError(
            "it is set at the serial server; rfc2217:// can change it, if the server speaks that"
        )

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):  # so that the peer's port is free at once, whatever is still on its way
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


async def open_socket(address: Address) -> Socket:
    """Connect. A peer that vanishes without a word is found within ``SILENCE_LIMIT`` seconds or so.

    Raises:
        BusError: there is no connection; the message names the port, the cause and the remedy.
    """
    try:
        async with asyncio.timeout(OPEN_LIMIT):
            return Socket(await _connect(address.host, address.number))
    except TimeoutError:
        reason = f"no answer within {OPEN_LIMIT:g} s"
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            raise
        named = isinstance(error, socket.gaierror)
        reason = (error.strerror if named or not error.errno else os.strerror(error.errno)) or str(error)
    raise BusError(
        f"{address.text} cannot be reached ({reason}); check the address, the network and that the device "
        "is on; many take only one connection at a time"
    )


async def _connect(host: str, number: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    problem = OSError("the name leads to no address")
    for family, kind, protocol, _, where in await loop.getaddrinfo(host, number, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE_LIMIT // _PROBES)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENCE_LIMIT // _PROBES)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_LIMIT * 1000)
            await loop.sock_connect(made, where)
        except OSError as error:
            problem = error
            made.close()
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise problem
