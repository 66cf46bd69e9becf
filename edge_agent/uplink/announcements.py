"""What is said beside the readings: births, descriptions, states, losses. Each waits until there is room."""

from collections import deque
from collections.abc import Iterable

from edge_agent.kept import Declared, Row, Run
from edge_agent.uplink import birth
from edge_agent.uplink.mqtt import Outgoing
from edge_agent.uplink.payload import Description
from edge_agent.uplink.protocol import Delivery, Gateway
from edge_agent.uplink.topics import Topics


class Announcements:
    """The messages of one connection that are no readings. A device's state waits at most once.

    ``urgent`` ones go before live readings, states after them.
    """

    def __init__(
        self,
        gateway: Gateway,
        topics: Topics,
        delivery: Delivery,
        descriptions: dict[int, Description],
        last: dict[str, Row],
    ) -> None:
        self.session = 0
        self._gateway, self._topics, self._delivery = gateway, topics, delivery
        self._descriptions = descriptions
        self._urgent: deque[tuple[Outgoing, Declared | None]] = deque()
        self._states: dict[str, None] = {}  # devices, in order
        self._fresh: dict[str, None] = {}  # devices with readings since their state was last due
        self._last = last

    def begin(self, losses: Iterable[Declared]) -> None:
        """A session begins: say that we are here, what is here, and what was lost."""
        self.say("online")
        for device in self._gateway.metas:
            self._urgent.append((birth.meta(self._gateway, self._topics, device), None))
            self._states[device] = None
        for loss in losses:
            self.declare(loss)

    def status(self, state: str) -> Outgoing:
        """Return a status message: online, stopped or offline."""
        return birth.status(self._gateway, self._topics, self.session, state, self._delivery.backlog)

    def say(self, state: str) -> None:
        """Publish the gateway's status."""
        self._urgent.append((self.status(state), None))

    def declare(self, loss: Declared) -> None:
        """Publish what was given up."""
        stream = self._delivery.streams[loss.stream]
        self._urgent.append((birth.loss(self._gateway, self._topics, stream, loss), loss))

    def state_changed(self, device: str) -> None:
        """Publish a device's state, if it is on this uplink."""
        if device in self._gateway.metas:
            self._states[device] = None

    def kept(self, runs: Iterable[Run]) -> None:
        """New readings are on disk: their devices' states change with them, when they are next due."""
        streams = self._delivery.streams
        for run in runs:
            device = streams[run.stream].device
            self._last[device] = run.rows[-1]
            if device in self._gateway.metas:
                self._fresh[device] = None

    def states_due(self) -> None:
        """Publish the states of all devices with new readings."""
        self._states.update(self._fresh)
        self._fresh.clear()

    @property
    def urgent(self) -> tuple[Outgoing, Declared | None] | None:
        """The next message that goes before readings, and the loss that it declares."""
        return self._urgent[0] if self._urgent else None

    def urgent_sent(self) -> None:
        """That one is on its way."""
        self._urgent.popleft()

    def health(self, drain_s: float | None) -> Outgoing:
        """Return the agent's own numbers."""
        backlog, acknowledged = self._delivery.backlog, self._delivery.acknowledged
        return birth.health(self._gateway, self._topics, backlog, acknowledged, drain_s)

    @property
    def state(self) -> tuple[str, Outgoing] | None:
        """The next state message, and its device."""
        device = next(iter(self._states), None)
        if device is None:
            return None
        row = self._last.get(device)
        last = None if row is None else (row, self._descriptions[row.meta])
        return device, birth.state(self._gateway, self._topics, device, last)

    def state_sent(self, device: str) -> None:
        """That one is on its way."""
        del self._states[device]
