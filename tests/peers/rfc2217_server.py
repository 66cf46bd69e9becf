"""A serial server made of pyserial's own RFC 2217 parts, the peer of our client's tests.

``python rfc2217_server.py TTY`` says ``up PORT`` when it listens on loopback; at most 60 s. It serves one
connection after the other, and says what speed the tty has at the end of each.
"""

import signal
import socket
import sys
import threading

import serial
from serial.rfc2217 import PortManager


class Pty(serial.Serial):  # type: ignore[misc]  # the library has no types
    """A serial port that has no modem lines."""

    cts = dsr = cd = True
    ri = False


def serve(tty: serial.Serial, connection: socket.socket) -> None:
    link = connection.makefile("rwb", buffering=0)
    port = PortManager(tty, link)

    def forward() -> None:
        while connection.fileno() >= 0:
            if heard := tty.read(tty.in_waiting or 1):
                try:
                    connection.sendall(b"".join(port.escape(heard)))
                except OSError:
                    return

    reader = threading.Thread(target=forward)
    reader.start()
    while sent := connection.recv(1024):
        tty.write(b"".join(port.filter(sent)))
    connection.close()
    link.close()
    reader.join()
    print("ended at", tty.baudrate, flush=True)  # noqa: T201 - the test waits for it


def main(name: str) -> None:
    signal.alarm(60)
    tty = Pty(name, 1200, timeout=0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print("up", listener.getsockname()[1], flush=True)  # noqa: T201 - the test waits for it
        while True:
            connection, _ = listener.accept()
            serve(tty, connection)


if __name__ == "__main__":
    main(sys.argv[1])
