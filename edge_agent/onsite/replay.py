"""Play a capture on a pseudo-terminal, so that the agent reads it as it would read the device."""

import asyncio
import os
import select
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.onsite.capture import Piece

_MOST_HELD = 1024  # bytes of a request that is not whole yet
_LOOK = 0.05  # seconds between looks whether somebody has opened the port; the kernel does not call


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request at ``t``, and what was heard after it: each piece with the seconds since the request."""

    t: float
    request: bytes
    answer: tuple[tuple[float, bytes], ...]


def exchanges(pieces: Sequence[Piece]) -> list[Exchange]:
    """Pair what was sent with what was heard after it."""
    found: list[Exchange] = []
    sent_at, request, answer = 0.0, b"", list[tuple[float, bytes]]()
    for piece in pieces:
        if piece.direction == "heard":
            answer.append((piece.t - sent_at, piece.content))
            continue
        if request:
            found.append(Exchange(sent_at, request, tuple(answer)))
        sent_at, request, answer = piece.t, piece.content, []
    if request:
        found.append(Exchange(sent_at, request, tuple(answer)))
    return found


class Replay:
    """Plays a capture on a pty.

    Where something was asked in the capture, it answers these requests as they were answered then, one after
    the other where one was asked several times, and begins again at the end. Where nothing was asked, it
    says all that was said, at the pace of then, as soon as somebody opens the port. ``speed_up`` divides
    all times.
    """

    def __init__(self, pieces: Sequence[Piece], *, speed_up: float = 1.0, link: Path | None = None) -> None:
        self._pieces, self._speed_up, self._link = pieces, speed_up, link
        self._answers: dict[bytes, list[Exchange]] = {}
        # the longest first, for one request may end as another does
        for exchange in sorted(exchanges(pieces), key=lambda one: -len(one.request)):
            self._answers.setdefault(exchange.request, []).append(exchange)
        self._turn = dict.fromkeys(self._answers, 0)
        self._heard = bytearray()
        self._master = -1

    @contextmanager
    def opened(self) -> Iterator[str]:
        """Make the port, and its link where one is wanted; take both away at the end. Yields its name.

        Raises:
            OSError: there is no pty, or the link cannot be made.
        """
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            self._master, theirs = os.openpty()
            stack.callback(self._close)
            tty.setraw(theirs)
            os.set_blocking(self._master, False)
            name = os.ttyname(theirs)
            if self._answers:  # kept open, so that one reader may follow another
                stack.callback(os.close, theirs)
                loop.add_reader(self._master, self._hear)
                stack.callback(loop.remove_reader, self._master)
            else:
                os.close(theirs)
            if self._link is not None:
                self._link.symlink_to(name)
                stack.callback(self._link.unlink, missing_ok=True)
            yield str(self._link or name)

    def _close(self) -> None:
        os.close(self._master)
        self._master = -1

    async def run(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Play: answer for ever, or say everything once to somebody who listens to the end."""
        if self._answers:
            await asyncio.Event().wait()
        while True:
            await self._until(listened_to=True)
            tell("somebody listens: playing")
            if await self._play():
                tell("all was said")
                await self._until(listened_to=False)
                return
            tell("nobody listens any more: again from the beginning with the next")

    async def _until(self, *, listened_to: bool) -> None:
        while self._listened_to() is not listened_to:  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(_LOOK)

    async def _play(self) -> bool:
        """Say everything; return False when the listener left before the end."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        first = self._pieces[0].t if self._pieces else 0.0
        for piece in self._pieces:
            await asyncio.sleep(start + (piece.t - first) / self._speed_up - loop.time())
            if not self._listened_to():
                return False
            self._say(piece.content)
        return True

    def _listened_to(self) -> bool:
        look = select.poll()
        look.register(self._master, 0)
        return not any(event & select.POLLHUP for _, event in look.poll(0))

    def _hear(self) -> None:
        try:
            self._heard += os.read(self._master, 4096)
        except OSError:
            return
        request = next((known for known in self._answers if self._heard.endswith(known)), None)
        if request is None:
            del self._heard[:-_MOST_HELD]
            return
        self._heard.clear()
        asked = self._answers[request]
        answer = asked[self._turn[request] % len(asked)].answer
        self._turn[request] += 1
        for later, piece in answer:
            asyncio.get_running_loop().call_later(later / self._speed_up, self._say, piece)

    def _say(self, piece: bytes) -> None:
        if self._master >= 0:
            try:
                os.write(self._master, piece)
            except OSError:  # nobody reads: a UART would lose it, too
                return
