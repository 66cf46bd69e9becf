"""Who goes next, where several wait for the same room. Pure."""

from collections.abc import Callable


class RoundRobin:
    """Each ``sends`` one message into so many bytes of room, and says whether it had one. None waits long."""

    def __init__(self, *sends: Callable[[int], bool]) -> None:
        self._sends = list(sends)

    def next(self, room: int) -> bool:
        """Send one message of one of them; return whether there was any."""
        for send in self._sends:
            if send(room):
                self._sends.remove(send)
                self._sends.append(send)
                return True
        return False
