"""A contact or PIR at a modem line of a serial adapter, or at a GPIO pin. The only door to gpiod.

At a modem line a thread sleeps in the kernel until a line changes (TIOCMIWAIT): nothing polls. Some drivers
cannot do that, or never tell; then the level is read twice a second, which the log says.
"""

import asyncio
import logging
import os
import struct
import termios
import threading
import time
from contextlib import suppress
from fcntl import ioctl
from typing import TYPE_CHECKING

from edge_agent.bus.address import Address
from edge_agent.bus.levels import DEBOUNCE, Levels
from edge_agent.bus.remedy import why_not_opened
from edge_agent.bus.serial import OPEN_LIMIT, BusError

if TYPE_CHECKING:
    from gpiod import LineRequest

_log = logging.getLogger(__name__)

_MASKS = {
    "cts": termios.TIOCM_CTS,
    "dsr": termios.TIOCM_DSR,
    "ri": termios.TIOCM_RI,
    "dcd": termios.TIOCM_CD,
}
_POLL = 0.5  # seconds, where an adapter does not tell of changes


class _ModemLine:
    """Watches one modem line of an open tty, and tells ``levels``."""

    def __init__(self, address: Address, descriptor: int) -> None:
        self._address, self._descriptor = address, descriptor
        self._mask = _MASKS[address.line]
        self._loop = asyncio.get_running_loop()
        self._closed = threading.Event()
        self._told = False
        self._poll: asyncio.TimerHandle | None = None
        self.levels = Levels(self._level, self._release, self._missed)
        threading.Thread(
            target=self._sleep, args=(os.dup(descriptor),), name=f"contact[{address.text}]", daemon=True
        ).start()

    def _level(self) -> bool:
        (bits,) = struct.unpack("i", ioctl(self._descriptor, termios.TIOCMGET, bytes(4)))
        return bool(bits & self._mask)

    def _sleep(self, descriptor: int) -> None:
        """Sleep from change to change, in a thread.

        Nothing can wake it but a change, an unplugged adapter, or the end of the process: after closing it
        stays asleep until then, with a descriptor of its own.
        """
        try:
            while not self._closed.is_set():
                with suppress(InterruptedError):
                    ioctl(descriptor, termios.TIOCMIWAIT, self._mask)
                    self._told = True
                    time.sleep(DEBOUNCE)  # a line that never rests may not cost more than this
                    self._loop.call_soon_threadsafe(self.levels.look)
        except OSError as error:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._fall_back, str(error))
        except RuntimeError:  # the loop is gone, and nobody listens any more
            return
        finally:
            os.close(descriptor)

    def _missed(self) -> None:
        """Wait for word of the change; it may be on its way."""
        self._loop.call_later(2 * DEBOUNCE, self._doubt)

    def _doubt(self) -> None:
        if not self._told:
            self._fall_back("no word of a change")

    def _fall_back(self, reason: str) -> None:
        """Read the level again and again; where the adapter is gone, the first time says so."""
        if self._poll is None and not self._closed.is_set():
            self._look_again()
            if not self.levels.lost:
                _log.warning(
                    "%s: the adapter does not tell of changes (%s); its level is read every %g s",
                    self._address.text,
                    reason,
                    _POLL,
                )

    def _look_again(self) -> None:
        self.levels.look()
        self._poll = self._loop.call_later(_POLL, self._look_again)

    def _release(self) -> None:
        self._closed.set()
        if self._poll is not None:
            self._poll.cancel()
        os.close(self._descriptor)


async def open_contact(address: Address) -> Levels:
    """Open a tty for one of its modem lines. It is not locked: each line may be a bus of its own.

    Raises:
        BusError: it cannot be opened, or has no such lines; the message says why.
    """
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    opening = asyncio.get_running_loop().run_in_executor(None, os.open, address.device, flags)
    try:
        async with asyncio.timeout(OPEN_LIMIT):
            descriptor = await asyncio.shield(opening)
    except TimeoutError:
        opening.add_done_callback(_close_late)
        raise BusError(
            f"{address.device} does not open within {OPEN_LIMIT:g} s; unplug the adapter and plug it in again"
        ) from None
    except OSError as error:
        raise BusError(why_not_opened(address.device, error)) from error
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise
    try:
        ioctl(descriptor, termios.TIOCMGET, bytes(4))
    except OSError as error:
        os.close(descriptor)
        raise BusError(
            f"{address.device} has no modem lines ({error.strerror}); use an adapter that brings "
            f"{address.line.upper()} out"
        ) from error
    return _ModemLine(address, descriptor).levels


def _close_late(opening: asyncio.Future[int]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())


async def open_gpio(address: Address) -> Levels:
    """Ask for a GPIO pin as an input.

    Raises:
        BusError: there is no gpiod, no such chip or pin, or it is taken; the message says what to do.
    """
    try:
        request = _requested(address)
    except ImportError as error:
        raise BusError(
            f"{address.text} needs gpiod; install it with `pip install 'smartpark-edge-agent[gpio]'`"
        ) from error
    except (OSError, ValueError) as error:
        raise BusError(
            f"{address.text} cannot be used ({error}); `gpioinfo` lists the pins and who has them, and the "
            "agent's user must be in the group gpio"
        ) from error
    return _watched(request, int(address.line))


def _requested(address: Address) -> "LineRequest":
    import gpiod  # noqa: PLC0415 - only where a pin is used
    from gpiod.line import Bias, Direction, Edge  # noqa: PLC0415

    bias = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN}.get(address.pull, Bias.AS_IS)
    wanted = gpiod.LineSettings(direction=Direction.INPUT, edge_detection=Edge.BOTH, bias=bias)
    return gpiod.request_lines(address.device, {int(address.line): wanted}, consumer="edge-agent")


def _watched(request: "LineRequest", pin: int) -> Levels:
    """Watch a pin: the kernel makes its descriptor readable at each edge."""
    loop = asyncio.get_running_loop()
    descriptor = request.fd

    def release() -> None:
        loop.remove_reader(descriptor)
        request.release()

    def edges() -> None:
        try:
            request.read_edge_events()
        except OSError as error:
            loop.remove_reader(descriptor)
            levels.fail(error)
        else:
            levels.changed()

    levels = Levels(lambda: bool(request.get_value(pin).value), release)
    loop.add_reader(descriptor, edges)
    return levels
