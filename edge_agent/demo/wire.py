"""Two ttys joined by a wire that takes its time, as a UART does.

A plain pty pair hands over any number of bytes at once and so hides timing faults. Here every byte
arrives when a real line at that baud rate would have carried it: one by one up to 19,200 baud, in
slices of a millisecond above. Both ends are ordinary ttys, so that either side may be any program.
A wire without a baud rate of its own runs as its ttys are set, and what is sent at one speed and heard
at another arrives broken: so a change of speed in the middle of a talk is seen, too early or too late.
"""

import asyncio
import os
import sys
import termios
import tty
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

BITS_PER_BYTE = 10  # 8N1: start, eight, stop
_SLICED_ABOVE = 19_200
_SLICE = 0.001
_MAX_WAITING = 65_536  # bytes on their way in one direction; then the sender is held
_SPEEDS = {
    getattr(termios, f"B{baud}"): baud
    for baud in (300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200)
}
_BROKEN = 0x55  # flipped in a byte that is heard at another speed than it was sent at


def _speed_of(tty_end: int) -> Callable[[], int]:
    """Return a function that tells what a tty is set to now."""
    return lambda: _SPEEDS[termios.tcgetattr(tty_end)[5]]


class _Lane:
    """One direction: bytes leave the source as written and reach the sink when the line has carried them.

    ``sent_at`` and ``heard_at`` tell the baud rates of its two ends.
    """

    def __init__(
        self, source: int, sink: int, sent_at: Callable[[], int], heard_at: Callable[[], int]
    ) -> None:
        self._source, self._sink = source, sink
        self._sent_at, self._heard_at = sent_at, heard_at
        self._slice = 0.0
        self._waiting: deque[tuple[float, int, int]] = deque()
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(source, self._hear)
        self._reading = True

    def _hear(self) -> None:
        try:
            sent = os.read(self._source, 4096)
        except BlockingIOError:
            return
        except OSError:  # the other side has closed its tty; it may open it again
            sent = b""
        if not sent:
            self._loop.remove_reader(self._source)
            self._reading = False
            self._loop.call_later(0.05, self._listen)
            return
        due, baud = max(self._loop.time(), self._free_at), self._sent_at()
        self._slice = _SLICE if baud > _SLICED_ABOVE else 0.0
        for byte in sent:
            due += BITS_PER_BYTE / baud
            self._waiting.append((due, byte, baud))
        self._free_at = due
        if len(self._waiting) > _MAX_WAITING:
            self._loop.remove_reader(self._source)
            self._reading = False
        self._arm()

    def _listen(self) -> None:
        if not self._reading and self._source >= 0:
            self._loop.add_reader(self._source, self._hear)
            self._reading = True

    def _arm(self) -> None:
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_at(self._waiting[0][0] + self._slice, self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        now = self._loop.time()
        due, speeds = bytearray(), {self._sent_at(), self._heard_at()}
        while self._waiting and self._waiting[0][0] <= now:
            _, byte, baud = self._waiting.popleft()
            due.append(byte if speeds == {baud} else byte ^ _BROKEN)
        with suppress(OSError):  # nobody reads the far end: a UART would drop it too
            os.write(self._sink, due)
        if not self._reading and len(self._waiting) < _MAX_WAITING // 2:
            self._listen()
        self._arm()

    def close(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._source)
        self._reading, self._source = False, -1
        if self._timer is not None:
            self._timer.cancel()


class Wire:
    """A paced wire between two ttys, found under the names ``near`` and ``far``.

    Bytes written to one end arrive at the other at ``baud``; with None at the speed that both ttys are set
    to. Used as a context manager inside a running event loop; leaving it removes both ends.
    """

    def __init__(self, near: Path, far: Path, baud: int | None) -> None:
        self.near, self.far, self.baud = near, far, baud
        self._descriptors: list[int] = []
        self._lanes: list[_Lane] = []

    def __enter__(self) -> Self:
        """Make both ends and begin to carry."""
        (near, near_speed), (far, far_speed) = self._end(self.near), self._end(self.far)
        self._lanes = [_Lane(near, far, near_speed, far_speed), _Lane(far, near, far_speed, near_speed)]
        return self

    def _end(self, name: Path) -> tuple[int, Callable[[], int]]:
        ours, theirs = os.openpty()
        self._descriptors += [ours, theirs]  # theirs stays open, so that ours never reads EIO
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        name.unlink(missing_ok=True)
        name.symlink_to(os.ttyname(theirs))
        baud = self.baud
        return ours, _speed_of(theirs) if baud is None else lambda: baud

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut the wire: both ends hang up and lose their names."""
        for lane in self._lanes:
            lane.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        for name in (self.near, self.far):
            name.unlink(missing_ok=True)
        self._descriptors, self._lanes = [], []


async def _main(near: str, far: str, baud: str) -> None:
    with Wire(Path(near), Path(far), int(baud)):
        print("ready", flush=True)  # noqa: T201 - the caller waits for this line
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(*sys.argv[1:4]))
