"""The steps of one device that remember, while the agent runs, and where goes what they make."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from edge_agent.event import Event, EventKind
from edge_agent.processing import alarm, pipeline
from edge_agent.processing.alarm import Change
from edge_agent.processing.counter import count
from edge_agent.processing.plan import Memorable, Plan
from edge_agent.reading import Reading

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outputs:
    """Where it all goes: readings, whether at once; events; what is to outlive a restart, as bytes.

    ``stands`` takes how each alarm is remembered to stand, as an event that may have been told already.
    """

    keep: Callable[[Reading], None]
    keep_now: Callable[[Reading], None]
    tell: Callable[[Event], None] = lambda _event: None
    stands: Callable[[Event], None] = lambda _event: None
    remember: Callable[[bytes], None] = lambda _body: None


class StatefulSteps:
    """A device's counters, limits and averages. ``state`` is what they remember now."""

    def __init__(self, device: str, plan: Plan, steps: Memorable, outputs: Outputs) -> None:
        self._device, self._plan, self._steps, self._outputs = device, plan, steps, outputs
        self.state = pipeline.PipelineState()
        self._saved = pipeline.lasting(self.state)

    def recall(self, body: bytes, now_ms: int) -> None:
        """Go on with what an earlier run remembered. An alarm whose limit is gone is cleared."""
        self._saved = orjson.loads(body)
        self.state, gone = pipeline.recalled(self._steps, self._saved)
        for key in gone:
            channel, _, name = key.partition(".")
            detail = "its limit was removed from the configuration"
            self._outputs.tell(Event("alarm_cleared", self._device, now_ms, detail, channel, name))
        for limit in self._steps.limits:
            kind: EventKind = "alarm" if limit.key in self.state.standing else "alarm_cleared"
            detail = "told late: it was so before the agent was started"
            self._outputs.stands(Event(kind, self._device, now_ms, detail, limit.channel, limit.name))
        self._remember()

    def take(self, reading: Reading) -> Reading:
        """Take a reading through all steps; return what it says, as it was heard."""
        taken = pipeline.take(self._plan, self._steps, self.state, reading)
        self.state = taken.state
        keep = self._outputs.keep_now if taken.changes else self._outputs.keep
        for made in taken.readings:
            keep(made)
        for note in taken.notes:
            log.warning("%s: %s", self._device, note)
        self._tell(taken.changes, reading.mono_ms)
        self._remember()
        return taken.heard

    def counted(self, reading: Reading) -> Reading:
        """Return a reading with totals, and remember nothing of it."""
        return count(self._steps.counters, self.state.counts, reading)[1]

    def same(self, now_ms: int) -> None:
        """Take note that the device was heard, and says the same."""
        self.state, changes = pipeline.same(self._steps, self.state, now_ms)
        if changes:
            self._tell(changes, now_ms)
            self._remember()

    def silent(self) -> None:
        """Take note that the device is silent."""
        self.state = pipeline.silent(self.state)

    def look(self, now_ms: int) -> int | None:
        """End a window that is over. Returns the milliseconds until the open one is, None without one."""
        window = self.state.window
        if window is None:
            return None
        if now_ms < window.end_ms:
            return window.end_ms - now_ms
        self.cut(now_ms)
        return None

    def cut(self, now_ms: int) -> None:
        """End the open window now."""
        self.state, readings = pipeline.cut(self._steps, self.state, self._device, now_ms)
        for made in readings:
            self._outputs.keep(made)

    def _tell(self, changes: Sequence[Change], now_ms: int) -> None:
        for change in changes:
            detail, limit = alarm.detail_of(change), change.limit
            kind: EventKind = "alarm" if change.raised else "alarm_cleared"
            if change.raised:
                log.warning("%s alarm %s raised: %s", self._device, limit.name, detail)
            else:
                log.info("%s alarm %s cleared: %s", self._device, limit.name, detail)
            number = None if isinstance(change.value, bool | str) else float(change.value)
            self._outputs.tell(Event(kind, self._device, now_ms, detail, limit.channel, limit.name, number))

    def _remember(self) -> None:
        """Have what is to outlive a restart written with what was kept just now, where it changed."""
        lasting = pipeline.lasting(self.state)
        if lasting != self._saved:
            self._saved = lasting
            self._outputs.remember(orjson.dumps(lasting))
