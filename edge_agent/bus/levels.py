"""A level that changes now and then, as a port: one byte for each change. No thread, and nothing polls."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

DEBOUNCE = 0.05  # seconds after a change until the level counts; a contact bounces for a few thousandths
BEAT = 5.0  # seconds until a level that has not changed is read again and said again
_SAID = {False: b"0", True: b"1"}
_CHUNK = 4096


class Levels:
    """The medium of a ``ByteStream`` that says ``1`` and ``0``: the first level at once, then each change.

    ``level`` reads it, and raises OSError when that is no longer possible. Every ``BEAT`` seconds it is read
    and said anew, so that a contact at rest is not taken for a dead one; ``missed`` is called when a change
    was noticed only then. ``release`` gives back what is watched.
    """

    def __init__(
        self,
        level: Callable[[], bool],
        release: Callable[[], None],
        missed: Callable[[], None] = lambda: None,
    ) -> None:
        self.descriptor, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._level, self._release, self._missed = level, release, missed
        self._loop = asyncio.get_running_loop()
        self._said: bool | None = None
        self._gone: OSError | None = None
        self._closed = False
        self._settling: asyncio.TimerHandle | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._again()

    @property
    def lost(self) -> bool:
        """Whether the level can no longer be read."""
        return self._gone is not None or self._closed

    def changed(self) -> None:
        """Look at the level once it has had time to settle. Called on the event loop, however often."""
        if self._settling is None and not self._closed:
            self._settling = self._loop.call_later(DEBOUNCE, self._settled)

    def look(self) -> bool:
        """Read the level, say it if it has changed, and return whether it has."""
        if self.lost:
            return False
        try:
            level = self._level()
        except OSError as error:
            self.fail(error)
            return False
        if level is self._said:
            return False
        self._say(level)
        return True

    def fail(self, error: OSError) -> None:
        """Let the next read raise this."""
        if not self.lost:
            self._gone = error
            os.close(self._writer)

    def read(self) -> bytes:
        """Return the levels that were not read yet."""
        piece = os.read(self.descriptor, _CHUNK)
        if not piece and self._gone is not None:
            raise self._gone
        return piece

    def encode(self, sent: bytes) -> bytes:
        """Nothing can be said to a contact."""
        raise OSError(f"a contact takes no {len(sent)} bytes")

    def set_speed(self, speed: int) -> None:
        """A contact has no speed."""
        raise ValueError(f"a contact does not run at {speed} baud")

    def close(self) -> None:
        """Give back what is watched. Closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        for timer in (self._settling, self._beat):
            if timer is not None:
                timer.cancel()
        if self._gone is None:
            os.close(self._writer)
        os.close(self.descriptor)
        self._release()

    def _settled(self) -> None:
        self._settling = None
        self.look()

    def _again(self) -> None:
        first = self._said is None
        if self.look():
            if not first:
                self._missed()
        elif self._said is not None and not self.lost:
            self._say(self._said)
        self._beat = self._loop.call_later(BEAT, self._again)

    def _say(self, level: bool) -> None:  # noqa: FBT001 - it is what is said
        self._said = level
        with suppress(BlockingIOError):  # nobody reads: it is said again
            os.write(self._writer, _SAID[level])
