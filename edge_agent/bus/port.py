"""One port that may go and come back: opened when needed, reopened with back-off."""

import asyncio
import logging
from collections import deque

from edge_agent.backoff import Backoff
from edge_agent.bus.address import Address
from edge_agent.bus.serial import BusError, Direction, SerialFormat
from edge_agent.bus.stream import ByteStream, open_stream
from edge_agent.bus.tap import Tap

_log = logging.getLogger(__name__)

MOST_SAID, SAID_WITHIN = 6, 3600.0
"""How often a port that comes and goes is said to be gone, and in how many seconds."""


class Port:
    """Holds at most one open stream to a port.

    ``problem`` is "" while all is well, else what is wrong; ``reopened`` counts the times it came back.
    ``tap`` is told of all that passes. Each change is logged once, of a port that comes and goes the first
    few in an hour. Tries to open move apart with jitter while they fail, so that nobody who asks in a loop
    can wear out the board.

    Raises:
        ValueError: the name is of a kind of port that is not supported.
    """

    def __init__(
        self, name: str, serial_format: SerialFormat, direction: Direction = "auto", tap: Tap | None = None
    ) -> None:
        self.name, self.serial_format = name, serial_format
        self._address, self._direction = Address.parse(name), direction
        self.problem, self.reopened = "", 0
        self._tap = tap
        self._stream: ByteStream | None = None
        self._backoff = Backoff()
        self._next_try = 0.0
        self._closed = False
        self._said: deque[float] = deque(maxlen=MOST_SAID)  # when it was logged to be gone
        self._back_is_said = True

    @property
    def remote(self) -> bool:
        """Whether a network lies between."""
        return bool(self._address.host)

    @property
    def numbered(self) -> bool:
        """Whether each answer carries the number of its question."""
        return self._address.kind == "modbus-tcp"

    def retry_in(self) -> float:
        """Return the seconds until opening may be tried; 0 when it may be now, or is not needed."""
        if not self.problem:
            return 0.0
        return max(0.0, self._next_try - asyncio.get_running_loop().time())

    async def stream(self) -> ByteStream:
        """Return the open stream, opening it first if it is time to.

        Raises:
            BusError: the port is gone; at once while the next try is not due.
        """
        self._check_open()
        if self._stream is not None:
            return self._stream
        if self.retry_in():
            raise BusError(self.problem)
        try:
            stream = await open_stream(self._address, self.serial_format, self._direction, self._lost)
        except BusError as error:
            self._went(str(error))
            raise
        if self._closed:  # while it was being opened
            stream.close()
        self._check_open()
        if self.problem:
            self.reopened += 1
            if self._back_is_said:
                _log.info("%s is back", self.name)
        self.problem = ""
        stream.tap = self._tap
        self._stream = stream
        return stream

    def release(self) -> None:
        """Close for a while. A read that is under way raises BusError; the next call opens it again."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        """Close for good. A read that is under way raises BusError."""
        self._closed = True
        self.release()

    def _check_open(self) -> None:
        if self._closed:
            raise BusError(f"{self.name} is closed; nothing asks it until the agent opens the bus anew")

    def _lost(self, error: BusError) -> None:
        if self._stream is not None and self._stream.heard_at > 0:
            self._backoff.reset()  # it did work; one that opens and dies unheard keeps its longer pauses
        self._stream = None
        self._went(str(error))

    def _went(self, problem: str) -> None:
        now = asyncio.get_running_loop().time()
        if not self.problem:
            self._say_gone(problem, now)
        self.problem = problem
        self._next_try = now + self._backoff.next()

    def _say_gone(self, problem: str, now: float) -> None:
        self._back_is_said = len(self._said) < MOST_SAID or self._said[0] <= now - SAID_WITHIN
        if not self._back_is_said:
            return
        self._said.append(now)
        if len(self._said) == MOST_SAID and self._said[0] > now - SAID_WITHIN:
            _log.warning("%s; it comes and goes, which is said %d times an hour at most", problem, MOST_SAID)
        else:
            _log.warning("%s", problem)
