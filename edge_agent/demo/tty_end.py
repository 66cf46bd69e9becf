"""One end of a wire, as a simulated device sees it: an ordinary program that has opened a tty."""

import asyncio
import os
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self


class TtyEnd:
    """An open tty: ``heard`` is called with whatever arrives. A context manager inside a running loop."""

    def __init__(self, name: Path, heard: Callable[[bytes], None] = lambda _: None) -> None:
        self._name, self._heard = name, heard
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Open the tty and begin to listen."""
        self._descriptor = os.open(self._name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._descriptor)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and close the tty."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

    def _read(self) -> None:
        try:
            arrived = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return
        except OSError:
            arrived = b""
        if arrived:
            self._heard(arrived)
        else:  # the wire was cut; it is made anew only together with its devices
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def set_speed(self, baud: int) -> None:
        """Speak and hear at another speed, on a wire that minds it; after closing, do nothing."""
        if self._descriptor < 0:
            return
        settings = termios.tcgetattr(self._descriptor)
        settings[4] = settings[5] = getattr(termios, f"B{baud}")
        termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)

    def send(self, frame: bytes) -> None:
        """Write a frame. What the line cannot take is lost, as on a UART; after closing, all of it."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.write(self._descriptor, frame)
