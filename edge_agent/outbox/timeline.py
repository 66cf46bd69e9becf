"""When a reading was made, by the wall clock: boots, monotonic time, and the offsets between them.

A boot has an offset to wall time once the clock is known to be right. The wall time of a reading is computed
when it is sent, so that one new offset repairs every reading of that boot. Offsets are piecewise: the first
one also covers what came before it, and says so.
"""

from bisect import bisect_right
from operator import itemgetter

from edge_agent.row import Moment

STEP_MS = 500  # a smaller difference is drift that a time service slews away, not a new piece
MOST_PIECES = 1_000  # per boot; of a clock that jumps more often, the first one and the newest are kept

_from = itemgetter(0)


class Timeline:
    """The boots of this gateway, by number in the order they happened, and their offsets."""

    def __init__(self, boot: int, ran_ms: dict[int, int], pieces: dict[int, list[tuple[int, int]]]) -> None:
        self.boot = boot
        self._ran_ms = ran_ms
        self._pieces = pieces
        self._guess: int | None = None

    def learn(self, mono_ms: int, wall_ms: int, *, trusted: bool) -> tuple[int, int] | None:
        """Compare the clocks of the running boot; return a new piece (from_mono, offset), or None."""
        self._ran_ms[self.boot] = max(mono_ms, self._ran_ms.get(self.boot, 0))
        offset = wall_ms - mono_ms
        if not trusted:
            self._guess = offset
            return None
        pieces = self._pieces.setdefault(self.boot, [])
        if pieces and abs(pieces[-1][1] - offset) < STEP_MS:
            return None
        pieces.append((mono_ms, offset))
        del pieces[1 : len(pieces) - MOST_PIECES + 1]
        return pieces[-1]

    @property
    def known(self) -> bool:
        """Whether readings made now get a true time."""
        return self.boot in self._pieces

    def moment(self, boot: int, mono_ms: int) -> Moment:
        """Tell when something happened."""
        pieces = self._pieces.get(boot)
        if not pieces:
            return self._estimate(boot, mono_ms)
        if mono_ms < pieces[0][0]:
            return Moment(mono_ms + pieces[0][1], "repaired")
        if len(pieces) == 1:
            return Moment(mono_ms + pieces[0][1])
        at = bisect_right(pieces, mono_ms, key=_from) - 1
        return Moment(mono_ms + pieces[at][1])

    def offset(self, boot: int, from_ms: int, to_ms: int) -> int | None:
        """Return what makes true wall times of a boot's times between these two; None if that is not one."""
        pieces = self._pieces.get(boot)
        if not pieces:
            return None
        at = bisect_right(pieces, from_ms, key=_from)
        return pieces[at - 1][1] if at and at == bisect_right(pieces, to_ms, key=_from) else None

    def running_ms(self, boot: int, mono_ms: int) -> int:
        """Running time of the gateway at a moment: what things age by. Time switched off does not count."""
        return mono_ms + sum(ran for other, ran in self._ran_ms.items() if other < boot)

    def _estimate(self, boot: int, mono_ms: int) -> Moment:
        earliest = latest = None
        running = self.running_ms(boot, mono_ms)
        if before := [b for b in self._pieces if b < boot]:
            near = max(before)
            earliest = self._pieces[near][-1][1] + running - self.running_ms(near, 0)
        if after := [b for b in self._pieces if b > boot]:
            near = min(after)
            latest = self._pieces[near][0][1] + running - self.running_ms(near, 0)
        if earliest is not None and latest is not None and earliest > latest:
            earliest = None  # one of the two clocks was wrong; the later one had longer to become right
        if boot == self.boot and self._guess is not None:
            ts = mono_ms + self._guess
        else:
            ts = earliest if earliest is not None else latest if latest is not None else mono_ms
        if earliest is not None:
            ts = max(ts, earliest)
        if latest is not None:
            ts = min(ts, latest)
        return Moment(ts, "unsynchronised", (earliest, latest))
