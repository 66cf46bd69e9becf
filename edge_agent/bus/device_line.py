"""One device's place on a line: when it is due, how much quiet it needs, how often it is asked."""

import math
from contextlib import suppress
from typing import Protocol

from edge_agent.bus.pending_answers import Exchange
from edge_agent.bus.recent_frames import RecentFrames
from edge_agent.driver import Cut, Garbled, NoAnswer


class Carrier(Protocol):
    """The line, as a place sees it."""

    @property
    def retry_in(self) -> float:
        """Return the seconds for which every exchange will raise BusError at once; 0 when it may work."""

    async def carry(self, place: "DeviceLine", exchange: Exchange) -> bytes:
        """Send a place's request when its turn comes, and return the answer."""


class DeviceLine:
    """One device's place on a line. Implements the contract's ``Line``.

    ``due`` is the loop's time at which the device is due: of those who wait for the line, the earliest goes
    first. ``quiet`` are the seconds of silence it needs before a request and after its answer, where that is
    more than the line's. ``spent`` are the seconds of the line that were used for it. ``recent_frames`` takes
    note of what passes.

    A request that fails is sent once more, unless the one before failed too: a device that is dead, or was
    never heard, costs the line one try.
    """

    def __init__(self, line: Carrier, quiet: float = 0.0, recent_frames: RecentFrames | None = None) -> None:
        self.due, self.quiet, self.spent = -math.inf, quiet, 0.0
        self._line, self._recent_frames, self._well = line, recent_frames, False

    @property
    def retry_in(self) -> float:
        """Return the seconds for which every exchange will raise BusError at once; 0 when it may work."""
        return self._line.retry_in

    def note(self, sent: bytes, heard: bytes, fault: str = "") -> None:
        """Take note of an exchange that is over, where somebody wants to know."""
        if self._recent_frames is not None:
            self._recent_frames.add(sent, heard, fault)

    async def exchange(  # noqa: PLR0913 - as in the contract
        self,
        request: bytes,
        cut: Cut,
        *,
        within: float,
        speed: int | None = None,
        answer_speed: int | None = None,
        longest: int = 1024,
    ) -> bytes:
        """Send a request and return the first frame that ``cut`` finds in the answer.

        Raises:
            NoAnswer, Garbled, Refused, BusError: as ``SerialLine.exchange``.
        """
        asked = Exchange(request, cut, within, speed, answer_speed, longest)
        if self._well:
            with suppress(NoAnswer, Garbled):
                return await self._line.carry(self, asked)
            self._well = False
        answer = await self._line.carry(self, asked)
        self._well = True
        return answer
