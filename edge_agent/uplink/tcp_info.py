"""What the kernel says about a TCP connection: whether the path still carries anything. Linux only."""

import fcntl
import socket
import struct
import sys
import termios
from typing import NamedTuple

_NOTSENT_LOWAT = 16_384  # what waits in the kernel cannot be overtaken by a live reading
_INFO_SIZE = 256
_BYTES_ACKED = struct.Struct("@120xQ")  # tcpi_bytes_acked in struct tcp_info, <linux/tcp.h> since 4.1


class TcpProgress(NamedTuple):
    """Bytes that the other side has not confirmed yet, and all that it has confirmed so far."""

    unconfirmed: int
    confirmed: int


def progress(sock: socket.socket) -> TcpProgress:
    """Look at a connection's send queue."""
    waiting = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    (confirmed,) = _BYTES_ACKED.unpack_from(info)
    return TcpProgress(int.from_bytes(waiting, sys.byteorder), confirmed)


def prompt(sock: socket.socket) -> None:
    """Send small messages at once, and keep little in the kernel."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOTSENT_LOWAT)
