"""What time it is, in which boot, and whether the wall clock may be believed. The one door to all clocks.

A gateway has no clock battery: after a power cut the wall clock may stand at 1970, or at a plausible wrong
date that systemd has set. So readings carry monotonic time, and a year that looks right proves nothing.
"""

import asyncio
import ctypes
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol

log = logging.getLogger(__name__)

Trust = Literal["kernel", "rtc", "always"]

_STA_UNSYNC = 0x0040  # <linux/timex.h>: the clock is not disciplined by anyone
_TIME_ERROR = 5  # the same, as adjtimex's return value
_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2  # <linux/timerfd.h>
_EARLIEST_RTC_MS = 1_767_225_600_000  # 2026-01-01: a battery clock before this has lost its battery


class _Timex(ctypes.Structure):
    """The head of struct timex (adjtimex(2)); the kernel may write up to 208 bytes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


class _Itimerspec(ctypes.Structure):
    """struct itimerspec (timerfd_create(2))."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Clock(Protocol):
    """What the agent asks of a clock. Tests step a fake one."""

    boot_id: str

    def mono_ms(self) -> int:
        """Milliseconds since this boot, time asleep included."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970 UTC, right or wrong."""

    def trusted(self) -> bool:
        """Say whether the wall clock may be believed now."""


class SystemClock:
    """The machine's clocks. ``trust`` says what makes the wall clock believable."""

    def __init__(self, trust: Trust) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        self.trust = trust
        self._adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex

    def mono_ms(self) -> int:
        """Milliseconds since this boot, time asleep included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def wall_ms(self) -> int:
        """Milliseconds since 1970 UTC, right or wrong."""
        return time.time_ns() // 1_000_000

    def trusted(self) -> bool:
        """Say whether the wall clock may be believed now."""
        match self.trust:
            case "always":
                return True
            case "rtc":
                return self.wall_ms() > _EARLIEST_RTC_MS
            case "kernel":
                timex = _Timex(modes=0)
                state: int = self._adjtimex(ctypes.byref(timex))
                return state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC


def today() -> str:
    """Return the date that the machine's clock says, in UTC, right or wrong: for a person to judge."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def moment() -> str:
    """Return that date with the time, in UTC, right or wrong."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@contextmanager
def on_clock_steps(call: Callable[[], None]) -> Iterator[None]:
    """Have ``call`` called by the running loop when somebody sets the wall clock, while inside.

    It takes no polling: a timer that never comes is cancelled when the clock is set (timerfd_create(2)).
    Where a kernel cannot do that, steps are noticed with the next commit.
    """
    libc, loop = ctypes.CDLL(None, use_errno=True), asyncio.get_running_loop()
    never = _Itimerspec(value_s=sys.maxsize)
    timer: int = libc.timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)

    def arm() -> bool:
        flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
        return not libc.timerfd_settime(timer, flags, ctypes.byref(never), None)

    def stepped() -> None:
        with suppress(OSError):  # it says that it was cancelled
            os.read(timer, 8)
        if not arm():  # or the loop would spin
            loop.remove_reader(timer)
        call()

    if timer < 0 or not arm():
        log.info("the kernel does not tell when the clock is set (%s)", os.strerror(ctypes.get_errno()))
    else:
        loop.add_reader(timer, stepped)
    try:
        yield
    finally:
        if timer >= 0:
            loop.remove_reader(timer)
            os.close(timer)
