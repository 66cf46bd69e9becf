"""A whole consumer: subscribed, each reading once, what is missing asked for. `edge-agent watch` is one.

For backends in Python that have no MQTT client of their own::

    def heard(one: Heard) -> None:
        for reading in one.fresh: ...  # the message is acknowledged when this returns

    consumer = Consumer(Login(server), Scope(), heard=heard)
    consumer.open()
    while True:
        time.sleep(1)
        consumer.ask()
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_agent.clock import SystemClock
from edge_agent.consume.subscriber import Login, Subscriber
from edge_agent.contract.follow import Follower, Heard
from edge_agent.contract.mending import Mending
from edge_agent.contract.topics import ROOT


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom to listen to. With a ``share`` the readings are dealt out to a group of that name."""

    root: str = ROOT
    site: str = "+"
    gateway: str = "+"
    share: str = ""

    def topics(self) -> list[str]:
        """Return what to subscribe to; what is retained a broker gives to no group."""
        base = self._base
        readings = [f"{base}/{kind}/+" for kind in ("data", "history", "loss", "event")]
        if self.share:
            readings = [f"$share/{self.share}/{topic}" for topic in readings]
        return [*readings, f"{base}/status", f"{base}/state/+", f"{base}/health"]

    @property
    def answers(self) -> str:
        """What to subscribe to for the answers to replays."""
        return f"{self._base}/reply/replay"

    @property
    def _base(self) -> str:
        return f"{self.root}/{self.site}/{self.gateway}"


class Consumer:
    """Follows all gateways of a scope over one connection.

    ``heard(message)`` is called for each message, which is acknowledged after it; ``tell(text)`` at each
    change of the connection; both on another thread. With ``asks``, ``ask`` publishes requests for what is
    missing; in a group nothing is judged, and nothing asked. ``from_start``: see :class:`Follower`.
    """

    def __init__(  # noqa: PLR0913 - whom to hear, what for, and whom to tell
        self,
        login: Login,
        scope: Scope,
        *,
        asks: bool = True,
        from_start: bool = False,
        heard: Callable[[Heard], None] = lambda _: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._follower, self._lock = Follower(scope.root, from_start=from_start), threading.Lock()
        self._heard = heard
        self._mending: Mending | None = None
        if asks and not scope.share:
            self._mending = Mending(self._follower, f"watch-{uuid.uuid4().hex[:12]}", scope.root)
        self._subscriber = Subscriber(
            login,
            scope.topics(),
            self._hear,
            self._missed,
            tell,
            wished=[scope.answers] if self._mending else [],
            refused=self._refused,
        )

    def open(self) -> None:
        """Connect and subscribe; blocks.

        Raises:
            SubscriberError: it does not work, and what to do.
        """
        self._subscriber.open()

    def close(self) -> None:
        """End the connection."""
        self._subscriber.close()

    @contextmanager
    def following(self) -> Iterator[tuple[Follower, Mending | None]]:
        """Lend what is known so far; nothing is heard meanwhile, so be quick."""
        with self._lock:
            yield self._follower, self._mending

    def ask(self) -> None:
        """Ask gateways for what is missing, where it is time to. Call it each second or so."""
        if self._mending is None or not self._subscriber.connected:
            return
        with self._lock:
            asks = self._mending.due(now_ms())
        for ask in asks:
            self._subscriber.publish(ask.topic, ask.payload, ask.expiry_s)

    def _hear(self, topic: str, payload: bytes) -> None:
        with self._lock:
            if self._mending is not None and topic.endswith("/reply/replay"):
                self._mending.hear(topic, payload, now_ms())
                return
            heard = self._follower.hear(topic, payload, now_ms())
        self._heard(heard)

    def _missed(self) -> None:
        """The broker kept nothing of a while: that is asked for, or else not judged."""
        if self._mending is None:
            with self._lock:
                self._follower.rejoin()

    def _refused(self, topic: str, why: str) -> None:
        if self._mending is not None:
            with self._lock:
                self._mending.refused(topic, why, now_ms())


def now_ms() -> int:
    """Return what time a consumer's machine says it is, in ms since 1970 UTC."""
    return SystemClock("always").wall_ms()
