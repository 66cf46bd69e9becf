"""One configured device while the agent runs: what it said last, how it does, and what went wrong."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from edge_agent.bus.recent_frames import RecentFrames
from edge_agent.clock import Clock
from edge_agent.collect.sparkline import Sparkline
from edge_agent.collect.stateful_steps import Outputs, StatefulSteps
from edge_agent.driver import Channel, Fault, NoAnswer, NotMine, Sample
from edge_agent.fault import fault_text
from edge_agent.processing.hold import Holds, hold, next_due, tick
from edge_agent.processing.plan import Memorable, Plan
from edge_agent.processing.step import Memory, step
from edge_agent.reading import Grade, Quality, Reading, Value
from edge_agent.status import Availability
from edge_agent.text.channel_order import by_importance
from edge_agent.text.formatting import duration

log = logging.getLogger(__name__)

_LATE_AFTER = 3  # times the expected interval
_LATE_AT_LEAST_MS = 60_000
_OFFLINE_AFTER = 10
_OFFLINE_AT_LEAST_MS = 300_000
_UNKNOWN = Quality(Grade.BAD, "unknown")


class Device:
    """Turns a device's samples into readings, and knows whether it is alive.

    ``expect_s`` is how often a frame should be heard. ``outputs`` take over what processing makes; without
    any but ``keep``, readings are all that leaves. ``on_availability`` is told when the device goes or comes
    back; ``reason`` says in words why it is not online. ``problem`` lasts until the next good frame,
    ``not_set_up`` until the device follows. ``away`` says why it cannot be heard now, "" while it can.
    ``recent_frames`` has its last frames; ``main_channel`` is the channel that says most.
    """

    def __init__(
        self,
        id_: str,
        channels: Sequence[Channel],
        plan: Plan,
        clock: Clock,
        keep: Callable[[Reading], None],
    ) -> None:
        self.id = id_
        self.expect_s = 10.0
        self.on_availability: Callable[[str], None] = lambda _id: None
        self.faults: Counter[str] = Counter()
        self.recent_frames = RecentFrames()
        self.problem = ""
        self.not_set_up = ""
        self.away = ""
        self.values: dict[str, Value] = {}
        self.quality: dict[str, Quality] = {}
        self.units = {channel.name: channel.quantity.unit for channel in channels}
        self.main_channel = next(iter(by_importance(self.units)), "")
        self._sparkline = Sparkline()
        self.availability: Availability = "late"  # nothing was heard yet
        self.reason = "nothing was heard yet"
        self.since_ms = self._heard_ms = clock.mono_ms()
        self._heard = False
        self._back_ms = self._heard_ms
        self._plan, self._clock = plan, clock
        self.outputs = Outputs(keep, keep)
        self._cause: Literal["silence", "no answer", "bus"] = "silence"
        self._memory = Memory()
        self._stateful = StatefulSteps(id_, plan, plan.memorable, self.outputs) if plan.memorable else None
        self._holds: Holds = {}
        self._due: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def heard_s(self) -> float | None:
        """The age of the last good frame in seconds, None before the first."""
        return (self._clock.mono_ms() - self._heard_ms) / 1000 if self._heard else None

    @property
    def since_s(self) -> float:
        """How long it has had its availability, in seconds."""
        return (self._clock.mono_ms() - self.since_ms) / 1000

    def last_hour(self) -> list[tuple[float, float] | None]:
        """Return the lowest and highest value of the main channel in each minute, None without one."""
        return self._sparkline.points(self._clock.mono_ms())

    def fill_hour(self, past: Mapping[int, tuple[float, float]]) -> None:
        """Take what the main channel was before this run, by how many minutes ago."""
        self._sparkline.fill(self._clock.mono_ms(), past)

    def heard(self, samples: Sequence[Sample]) -> None:
        """Stamp what a frame or an answer said, process it, and hand it on."""
        self._is_here()
        now = self._heard_ms
        self.problem, self._cause = "", "silence"
        reading = self._stamped(samples, now)
        if self._plan.holds:
            self._holds, reading = hold(self._plan, self._holds, reading)
            self._arm(now)
        self._process(reading)
        self._plot()

    def _stamped(self, samples: Sequence[Sample], now: int) -> Reading:
        values = {name: value for name, value in samples if value is not None}
        quality: dict[str, Quality] = {}
        if len(values) < len(samples):
            quality = {name: _UNKNOWN for name, value in samples if value is None}
        return Reading(self.id, now, values, quality)

    def interpret(self, samples: Sequence[Sample]) -> Reading | None:
        """Return what an answer says by itself, calibrated and judged; None if nothing of it counts.

        It changes nothing of what is kept.
        """
        reading = self._stamped(samples, self._clock.mono_ms())
        if self._stateful is not None:
            reading = self._stateful.counted(reading)
        return step(self._plan, Memory(), reading)[1]

    def present(self) -> None:
        """Take note that the device was heard, and said nothing that is to be kept."""
        self._is_here()
        if self._stateful is not None:
            self._stateful.same(self._heard_ms)
        self._plot()

    def _plot(self) -> None:
        value = self.values.get(self.main_channel)
        if value is not None and not isinstance(value, str):
            self._sparkline.add(self._heard_ms, value)

    def recall(self, body: bytes) -> None:
        """Go on with what ``outputs.remember`` was given last, in an earlier run; nothing, if never."""
        if body:  # also where it has nothing to remember any more: then what was raised is cleared
            stateful = self._stateful or StatefulSteps(self.id, self._plan, Memorable(), self.outputs)
            stateful.recall(body, self._clock.mono_ms())

    def _is_here(self) -> None:
        self._heard_ms, self._heard = self._clock.mono_ms(), True
        if self.availability != "online":
            self._set_availability("online")

    def close(self) -> None:
        """End the timer of the holds, and a window that is open."""
        self._holds = {}
        self._arm(0)
        if self._stateful is not None:
            self._stateful.cut(self._clock.mono_ms())

    def _process(self, heard: Reading) -> None:
        if self._stateful is not None:
            self._show(heard, self._stateful.take(heard))
            return
        self._memory, reading = step(self._plan, self._memory, heard)
        if reading is not None:
            self._show(heard, reading)
            self.outputs.keep(reading)

    def _show(self, heard: Reading, reading: Reading) -> None:
        self.values.update(reading.values)
        if self.quality:
            for name in heard.values:
                self.quality.pop(name, None)
        self.quality.update(reading.quality)

    def _arm(self, now: int) -> None:
        """Let the timer go off when the next hold ends; while that stays the same, leave it alone."""
        due = next_due(self._holds)
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = (
            None
            if due is None
            else asyncio.get_running_loop().call_later(max(0, due - now) / 1000, self._tick)
        )

    def _tick(self) -> None:
        now = self._clock.mono_ms()
        self._due = None  # also where the clocks differ by a moment: then the timer is set anew
        self._holds, ended = tick(self._holds, now)
        self._arm(now)
        if ended:
            self._process(Reading(self.id, now, ended, {}))

    def fault(self, fault: Fault) -> None:
        """Count what went wrong with a frame or an answer; somebody else's frame is nobody's fault."""
        if not isinstance(fault, NotMine):
            self.faults[type(fault).__name__] += 1
            self.problem = fault_text(fault)
            self.recent_frames.failed(self.problem)
            self._cause = "no answer" if isinstance(fault, NoAnswer) else "silence"

    def bus_gone(self, why: str) -> None:
        """Take note that the bus cannot be used, and so the device not be heard."""
        self.problem, self._cause = why, "bus"

    def is_set_up(self, problem: str = "") -> None:
        """Take note that the device reports as its settings say, or why it may not."""
        if problem and not self.not_set_up:
            log.warning(
                "%s could not be set up: %s; it is heard as it is; check the wire to its RX",
                self.id,
                problem,
            )
        elif self.not_set_up and not problem:
            log.info("%s is set up", self.id)
        self.not_set_up = problem and f"not set up: {problem}"

    def be_away(self, why: str) -> None:
        """Take note why it cannot be heard from now on, or with "" that it can again: that is no silence."""
        self.away, self._back_ms = why, self._clock.mono_ms()

    def look(self) -> float:
        """See whether the device is late or offline by now; return the seconds until the next look."""
        now = self._clock.mono_ms()
        silent = now - max(self._heard_ms, self._back_ms)
        late = max(_LATE_AFTER * self.expect_s * 1000, _LATE_AT_LEAST_MS)
        offline = max(_OFFLINE_AFTER * self.expect_s * 1000, _OFFLINE_AT_LEAST_MS)
        if self.away:
            return late / 1000
        if silent < late:
            return (late - silent) / 1000
        self._set_availability("late" if silent < offline else "offline")
        again = late if silent >= offline else offline - silent
        window = self._stateful.look(now) if self._stateful is not None else None
        return (again if window is None else min(again, window)) / 1000

    def _set_availability(self, availability: Availability) -> None:
        if availability == self.availability:
            return
        if availability == "online":
            self.reason = ""
            log.info("%s online", self.id)
        else:
            silent = (self._clock.mono_ms() - self._heard_ms) // 1000
            self.reason = self._why(silent)
            log.warning("%s %s: nothing heard for %d s; %s", self.id, availability, silent, self.problem)
            if self._stateful is not None:
                self._stateful.silent()
        self.availability, self.since_ms = availability, self._clock.mono_ms()
        self.on_availability(self.id)

    def _why(self, silent: int) -> str:
        """Say why nothing was heard for so many seconds."""
        if self._cause == "bus":
            return self.problem
        long = duration(silent)
        if self._cause == "no answer":
            return f"no answer for {long}"
        return f"nothing heard for {long}" + (f"; {self.problem}" if self.problem else "")
