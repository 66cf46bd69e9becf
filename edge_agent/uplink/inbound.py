"""What one connection hears: its own status, and commands; and the answers to these."""

import logging
from collections.abc import Callable, Mapping

from edge_agent.uplink import birth
from edge_agent.uplink.announcements import Announcements
from edge_agent.uplink.downlink import Downlink
from edge_agent.uplink.in_flight import Flight, InFlight
from edge_agent.uplink.message import Incoming
from edge_agent.uplink.mqtt import Session
from edge_agent.uplink.topics import Topics

log = logging.getLogger(__name__)


class Inbound:
    """Takes what comes in. ``proved``: the broker has passed our own status back to us, or need not.

    ``problem`` says what it does not let us hear.

    ``on_output`` is called when there may be something to be sent.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that it stands between
        self,
        session: Session,
        topics: Topics,
        announcements: Announcements,
        in_flight: InFlight,
        downlink: Downlink | None,
        on_output: Callable[[], None],
        *,
        proved: bool,
    ) -> None:
        self.proved, self.problem = proved, ""
        self._session, self._topics, self._announcements = session, topics, announcements
        self._in_flight, self._downlink, self._on_output = in_flight, downlink, on_output

    @property
    def counts(self) -> Mapping[str, int] | None:
        """What became of commands so far; None where none are taken."""
        return dict(self._downlink.counts) if self._downlink is not None else None

    def begin(self) -> None:
        """Ask for all that is to be heard, and answer what was asked before."""
        if self._downlink is not None:
            self._downlink.connected(self._on_output)
        self._session.on_denied = self._denied
        self._session.listen(self._heard)
        # RabbitMQ makes a queue for QoS 1 on one node, and lets us in nowhere else while that is away
        self._session.subscribe(self._topics.status, 1 if self.proved else 0)
        if self._downlink is not None:
            self._session.subscribe(self._topics.commands)

    def _denied(self, topic: str, why: str) -> None:
        self.problem = f"the broker does not let us read {topic} ({why}); allow it in its ACL"
        if topic not in self._in_flight.left_out:  # told once, however often it connects
            self._in_flight.left_out.add(topic)
            log.warning("%s", self.problem)

    def end(self) -> None:
        """The connection is over."""
        if self._downlink is not None:
            self._downlink.disconnected()

    def _heard(self, message: Incoming) -> None:
        if self._downlink is not None and message.topic.startswith(f"{self._topics.base}/cmd/"):
            self._downlink.receive(message, self._session.acknowledge)
            return
        self._session.acknowledge(message)
        if message.topic == self._topics.status:
            self._status(message.payload)

    def _status(self, payload: bytes) -> None:
        heard = birth.heard_status(payload)
        if heard is None:
            return
        state, session = heard
        if session == self._announcements.session and state == "online" and not self.proved:
            self.proved = True
            self._on_output()
        elif state == "offline" and not self._announcements.finishing:  # a late will of an earlier connection
            self._announcements.publish_status("online")
            self._on_output()

    def answer(self) -> bool:
        """Send one answer, if there is one."""
        reply = self._downlink.next_reply() if self._downlink is not None else None
        if reply is None:
            return False
        if reply.message.packet_size > self._in_flight.largest:
            self._in_flight.leave_out(reply.message.topic, f"{reply.message.packet_size} bytes")
            self.answered(reply.key)
        else:
            self._in_flight.send(reply.message, reply=reply.key)
        return True

    def answered(self, key: str) -> None:
        """The broker has taken an answer."""
        if self._downlink is not None:
            self._downlink.acknowledged(key)

    def refused(self, flight: Flight, key: str, why: str) -> None:
        """The broker does not take an answer: its topic may not be written. Nothing else waits for that."""
        self._in_flight.leave_out(flight.topic, why)
        self.answered(key)
