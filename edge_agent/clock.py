"""What time it is, in which boot, and whether the wall clock may be believed. The one door to all clocks.

A gateway has no clock battery: after a power cut the wall clock may stand at 1970, or at a plausible wrong
date that systemd has set. So readings carry monotonic time, and a year that looks right proves nothing.
"""

import ctypes
import time
from pathlib import Path
from typing import Literal, Protocol

Trust = Literal["kernel", "rtc", "always"]

_STA_UNSYNC = 0x0040  # <linux/timex.h>: the clock is not disciplined by anyone
_TIME_ERROR = 5  # the same, as adjtimex's return value
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
        self._trust = trust
        self._adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex

    def mono_ms(self) -> int:
        """Milliseconds since this boot, time asleep included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def wall_ms(self) -> int:
        """Milliseconds since 1970 UTC, right or wrong."""
        return time.time_ns() // 1_000_000

    def trusted(self) -> bool:
        """Say whether the wall clock may be believed now."""
        match self._trust:
            case "always":
                return True
            case "rtc":
                return self.wall_ms() > _EARLIEST_RTC_MS
            case "kernel":
                timex = _Timex(modes=0)
                state: int = self._adjtimex(ctypes.byref(timex))
                return state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC
