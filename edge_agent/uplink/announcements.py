"""What is said beside the readings: births, descriptions, states. Each waits until there is room."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from edge_agent.row import Row, Run
from edge_agent.uplink import birth
from edge_agent.uplink.dialects import homeassistant
from edge_agent.uplink.interfaces import Delivery, Gateway
from edge_agent.uplink.message import Outgoing
from edge_agent.uplink.payload import Description
from edge_agent.uplink.topics import Topics


class Announcements:
    """The messages of one connection that are no readings. A device's state waits at most once.

    ``urgent`` ones go before live readings, states and what is refreshed after them.
    """

    def __init__(
        self,
        gateway: Gateway,
        topics: Topics,
        delivery: Delivery,
        descriptions: dict[int, Description],
        last: dict[str, Row],
    ) -> None:
        self.session, self.finishing = 0, False
        self._gateway, self._topics, self._delivery = gateway, topics, delivery
        self._descriptions = descriptions
        self._urgent: deque[Outgoing] = deque()
        self._calm: dict[str, Outgoing] = {}  # by topic: behind readings, and before states
        self._states: dict[str, None] = {}  # devices, in order
        self._fresh: dict[str, None] = {}  # devices with readings since their state was last due
        self._last = last
        self._retired: set[str] = set()

    def begin(self) -> None:
        """A session begins: say that we are here, and what is here."""
        self.republish(None, ())

    def republish(self, device: str | None, before: Iterable[Outgoing]) -> None:
        """Say what is here, or only that we are here and what one device is, behind other messages."""
        self._urgent.extend(before)
        self.publish_status("online")
        self._urgent.extend(self._descriptive(device))

    def refresh(self) -> None:
        """What is retained would expire: say all of it once more, but nothing waits for that."""
        self.publish_status("online")
        self._calm.update((message.topic, message) for message in self._descriptive(None))

    def _descriptive(self, device: str | None) -> Iterator[Outgoing]:
        if self._topics.discovery:
            yield homeassistant.gateway_itself(self._topics, self._gateway)
        for id_ in self._gateway.metas:
            if device in {None, id_}:
                yield from self._described(id_)
                self._states[id_] = None

    def _described(self, device: str) -> Iterator[Outgoing]:
        yield birth.meta(self._gateway, self._topics, device)
        if self._topics.discovery:
            yield homeassistant.device(self._topics, self._gateway, device)

    def described(self, gone: Iterable[str], new: Iterable[str]) -> None:
        """Some devices are not here any more, others are new or described otherwise."""
        self._calm.clear()  # what it says may be out of date; it comes again in a day
        for device in gone:
            self._states.pop(device, None)
            self._fresh.pop(device, None)
        for device in new:
            self._retired.discard(device)
            self._urgent.extend(self._described(device))
            self._states[device] = None

    def status(self, state: str) -> Outgoing:
        """Return a status message: online, stopped or offline."""
        return birth.status(self._gateway, self._topics, self.session, state, self._delivery.backlog)

    def publish_status(self, state: str) -> None:
        """Publish the gateway's status."""
        self._urgent.append(self.status(state))

    def retire(self) -> None:
        """Tell of devices that were on this uplink, once nothing of them is owed to it.

        What is retained of them is cleared when that was taken, and again in each connection: a broker may
        have got it back from an old copy of its own.
        """
        for device in self._delivery.former(self._gateway.metas):
            event = self._delivery.retired.get(device)
            if event is None:
                self._gateway.retire(device)
            elif device not in self._retired and not self._delivery.owes(*event):
                self._retired.add(device)
                topics = [self._topics.meta(device), self._topics.state(device)]
                if self._topics.discovery:
                    topics.append(homeassistant.topic(self._topics, self._gateway, device))
                self._urgent.extend(Outgoing(topic, b"", retain=True) for topic in topics)

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
    def urgent(self) -> bool:
        """Whether there are messages that go before readings."""
        return bool(self._urgent)

    def next_urgent(self) -> Outgoing:
        """Take the next of these."""
        return self._urgent.popleft()

    def health(self, drain_s: float | None, commands: Mapping[str, int] | None) -> Outgoing:
        """Return the agent's own numbers."""
        backlog, acknowledged = self._delivery.backlog, self._delivery.acknowledged
        return birth.health(self._gateway, self._topics, backlog, acknowledged, drain_s, commands)

    @property
    def states(self) -> bool:
        """Whether states wait to be published."""
        return bool(self._calm or self._states)

    def next_state(self) -> Outgoing:
        """Take the next of these."""
        if self._calm:
            return self._calm.pop(next(iter(self._calm)))
        device = next(iter(self._states))
        del self._states[device]
        row = self._last.get(device)
        last = None if row is None else (row, self._descriptions[row.meta])
        return birth.state(self._gateway, self._topics, device, last)
