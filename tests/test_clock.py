"""The one door to the machine's clocks."""

import asyncio
import fcntl
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge_agent.clock import SystemClock, _Timex, on_clock_steps

ROOT = Path(__file__).parents[1]
_SET_TICKS = 0x40085400  # TFD_IOC_SET_TICKS, <linux/timerfd.h>
_ASK_C = """
#include <stddef.h>
#include <stdio.h>
#include <sys/timex.h>
int main(void) {
    struct timex t = {0};
    int state = adjtimex(&t);
    printf("%zu %zu %d %d", sizeof t, offsetof(struct timex, status), t.status & STA_UNSYNC, state);
}
"""


def test_the_kernel_is_asked_in_its_own_words(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.fail("cc is missing; run make test as root, or apt-get install gcc libc6-dev")
    (tmp_path / "ask.c").write_text(_ASK_C, "ascii")
    subprocess.run([compiler, "-o", tmp_path / "ask", tmp_path / "ask.c"], check=True, timeout=60)
    asked = subprocess.run([tmp_path / "ask"], check=True, capture_output=True, timeout=60)
    size, status_at, unsync, state = map(int, asked.stdout.split())
    assert _Timex.status.offset == status_at
    assert _Timex.rest.offset + _Timex.rest.size >= size, "the kernel would write past its end"
    synchronised = state not in {-1, 5} and not unsync
    assert SystemClock("kernel").trusted() == synchronised


def test_a_battery_clock_is_believed_once_it_stands_in_this_age(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock("rtc")
    monkeypatch.setattr(time, "time_ns", lambda: 10_000_000_000)
    assert not clock.trusted()
    monkeypatch.setattr(time, "time_ns", lambda: 1_795_366_800_000_000_000)
    assert clock.trusted()


def test_time_since_boot_counts_sleep_and_names_its_boot() -> None:
    clock = SystemClock("always")
    before = clock.mono_ms()
    uptime = float(Path("/proc/uptime").read_text("ascii").split()[0]) * 1000
    assert before - 20 <= uptime <= clock.mono_ms() + 20
    assert clock.boot_id == SystemClock("kernel").boot_id


def test_nothing_else_reads_the_wall_clock() -> None:
    """Order, ages, schedules and back-off would change when it steps. The demo's park may play by it."""
    wall = re.compile(r"time\.time(_ns)?\b|CLOCK_REALTIME|date(time)?\.(now|utcnow|today)|localtime|gmtime")
    files = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for room in ("edge_agent", "drivers")
        for path in (ROOT / room).rglob("*.py")
    }
    reads = {name for name, text in files.items() if wall.search(text) and "/demo/" not in name}
    assert reads == {"edge_agent/clock.py"}


def _timers() -> Iterator[int]:
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor that lists them
            if "timerfd" in str(entry.readlink()):
                yield int(entry.name)


def _facts(descriptor: int) -> dict[str, str]:
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii").splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


async def test_a_step_of_the_clock_is_told_without_polling() -> None:
    told = asyncio.Event()
    before = set(_timers())
    with on_clock_steps(told.set):
        (timer,) = set(_timers()) - before
        facts = _facts(timer)
        assert int(facts["clockid"]) == time.CLOCK_REALTIME
        assert int(facts["settime flags"], 8) == 3, "absolute, and cancelled when the clock is set"
        for _ in range(2):  # once is not enough: it must be armed again
            await asyncio.sleep(0)
            assert not told.is_set()
            fcntl.ioctl(timer, _SET_TICKS, struct.pack("Q", 1))  # wakes as a step does; the clock stays alone
            await asyncio.wait_for(told.wait(), 30)
            told.clear()
    assert set(_timers()) == before
