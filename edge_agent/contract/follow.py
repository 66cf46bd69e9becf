"""Follow gateways by what they publish: each reading once, and the judgement of what is missing.

For backends in Python. Pure: no connection, no clock, no thread; it needs pydantic and nothing else::

    follower = Follower()
    heard = follower.hear(topic, payload, now_ms)  # of every message
    for reading in heard.fresh:  # each once
        ...
    for reading in heard.better:  # known, now with its true time
        ...

docs/contract.md has the rules; :mod:`edge_agent.contract.mending` asks for what is missing. A consumer behind
``$share`` hears a part of each stream: its gaps mean nothing.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ValidationError
from pydantic.config import ExtraValues

from edge_agent.contract.messages import (
    DataMessage,
    EventMessage,
    HealthMessage,
    LossMessage,
    Message,
    ReadingItem,
    StateMessage,
    StatusMessage,
)
from edge_agent.contract.packing import unpack
from edge_agent.contract.presence import Presence
from edge_agent.contract.rates import Latency, Rate
from edge_agent.contract.stream import News, Stream
from edge_agent.contract.topics import ROOT, TOPICS

_TOPICS = {topic.name: topic for topic in TOPICS if topic.below != "name"}  # commands are between others
_EVENTS = "gateway"  # stands where the events of a gateway are counted
_LATEST = 100  # events that are remembered
_EPOCHS = 4  # of one device that are remembered; the oldest is forgotten first


class Key(NamedTuple):
    """What numbers are counted under. ``device`` is ``gateway`` for all events of one."""

    gateway: str
    device: str
    epoch: str


class Place(NamedTuple):
    """What a topic says. ``device`` is empty where a message is about the gateway."""

    site: str
    gateway: str
    kind: str
    device: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message is to a consumer.

    ``fresh``: readings that were not seen before. ``better``: readings that were seen with a time not known
    to be right, and have the true one now: replace the time, nothing else. ``again``: how many were known;
    1 for an event that was.
    ``refused``: why a message is not of this contract; it was not counted.
    """

    place: Place | None
    message: Message | None = None
    fresh: tuple[ReadingItem, ...] = ()
    better: tuple[ReadingItem, ...] = ()
    again: int = 0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a consumer has to show for its time. Losses and gaps are told in readings.

    ``again``: that came once more. ``better``: whose time was repaired. ``refused``: messages, not readings.
    ``missing``: that the broker took and nobody got, as far as is known now; ``closed``: those that were,
    and came later or were declared. ``lost``: declared. ``unjudged``: missing when they were forgotten.
    """

    readings: int
    again: int
    better: int
    refused: int
    missing: int
    closed: int
    lost: int
    unjudged: int


def place(topic: str, root: str = ROOT) -> Place | None:
    """Read a topic; None for one that is not of the contract, or of a part that is not known here."""
    head, found, rest = topic.partition(f"{root}/")
    levels = rest.split("/") if found and not head else []
    if len(levels) not in {3, 4} or levels[2] not in _TOPICS:
        return None
    if (_TOPICS[levels[2]].below == "device") != (len(levels) == 4):  # noqa: PLR2004 - site to device
        return None
    site, gateway, kind, *device = levels
    return Place(site, gateway, kind, device[0] if device else "")


class Follower:
    """All that one consumer knows. Memory: by device and epoch, bounded for each.

    ``from_start``: judge each stream from its first number, as for a consumer that has kept all of it; else
    from what was settled when it was heard of first. Times are ms since 1970 UTC.
    """

    def __init__(self, root: str = ROOT, *, from_start: bool = False) -> None:
        self.streams: dict[Key, Stream] = {}
        self.gateways: dict[str, Presence] = {}
        self.sites: dict[str, str] = {}
        """Where each gateway stands."""
        self.devices: dict[tuple[str, str], StateMessage] = {}
        self.healths: dict[str, HealthMessage] = {}
        self.events: deque[EventMessage] = deque(maxlen=_LATEST)
        """The latest, each once."""
        self.readings, self.latency = Rate(), Latency()
        """Fresh ones, live or not; and how late those were that came live."""
        self._again = self._better = self._refusals = 0
        self._closed = self._lost = self._unjudged = 0  # in epochs that are forgotten
        self._root, self._floor = root, 0 if from_start else None
        self._epochs: dict[tuple[str, str], list[str]] = {}

    @property
    def counts(self) -> Counts:
        """What there was so far, over all streams."""
        streams = self.streams.values()
        return Counts(
            readings=self.readings.total,
            again=self._again,
            better=self._better,
            refused=self._refusals,
            missing=sum(stream.missing for stream in streams),
            closed=self._closed + sum(stream.closed for stream in streams),
            lost=self._lost + sum(stream.lost for stream in streams),
            unjudged=self._unjudged + sum(stream.unjudged for stream in streams),
        )

    def hear(self, topic: str, payload: bytes, at: int) -> Heard:
        """Take one message. It never fails: what is not of the contract is ``refused``."""
        where = place(topic, self._root)
        if where is None:
            return self._refused(None, f"{topic} is no topic of this contract")
        if not payload:
            self._cleared(where)
            return Heard(where)
        model = _TOPICS[where.kind].message
        extra: ExtraValues = "allow" if model is StateMessage else "ignore"  # its channels are keys
        try:
            message = model.model_validate_json(unpack(payload), strict=True, extra=extra)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            named = ".".join(map(str, first["loc"]))
            return self._refused(where, f"{topic}: {named}: {first['msg']}".replace(": : ", ": "))
        except ValueError as error:
            return self._refused(where, f"{topic}: {error}")
        for level in ("site", "gateway", "device"):
            said = getattr(message, level, getattr(where, level))
            if said != getattr(where, level):
                return self._refused(where, f"{topic}: the message is of {level} {said!r}")
        return self._taken(where, message, at)

    def _refused(self, where: Place | None, why: str) -> Heard:
        self._refusals += 1
        return Heard(where, refused=why)

    def _cleared(self, where: Place) -> None:
        """Forget what a broker does not retain any more: a device or a gateway that was removed."""
        if where.kind == "status":
            self.gateways.pop(where.gateway, None)
            self.healths.pop(where.gateway, None)
        elif where.kind == "state":
            self.devices.pop((where.gateway, where.device), None)

    def _taken(self, where: Place, message: Message, at: int) -> Heard:
        self.sites[where.gateway] = where.site
        match message:
            case DataMessage():
                return self._data(where, message, at)
            case LossMessage():
                if message.to_seq is not None and message.to_seq < message.from_seq:
                    return self._refused(where, f"{where.device}: a loss ends before it begins")
                stream = self._stream(Key(message.gateway, message.device, message.epoch))
                stream.declare(message.from_seq, message.to_seq)
            case EventMessage():
                return self._event(where, message)
            case StatusMessage():
                known = self.gateways.get(message.gateway)
                if known is None:
                    self.gateways[message.gateway] = Presence(message)
                else:
                    known.hear(message)
            case StateMessage():
                self.devices[message.gateway, message.device] = message
            case HealthMessage():
                self.healths[message.gateway] = message
        return Heard(where, message)

    def _data(self, where: Place, message: DataMessage, at: int) -> Heard:
        stream = self._stream(Key(message.gateway, message.device, message.epoch))
        told: dict[News, list[ReadingItem]] = {news: [] for news in News}
        for reading in message.readings:
            news = stream.arrive(reading.seq, timed=reading.clock != "unsynchronised")
            told[news].append(reading)
            if news is News.FRESH and message.lane == "live" and reading.clock is None:
                self.latency.add(at - reading.ts)
        stream.settle(message.settled)
        fresh, better, again = told[News.FRESH], told[News.BETTER], len(told[News.AGAIN])
        self.readings.add(len(fresh), at)
        self._better += len(better)
        self._again += again
        return Heard(where, message, tuple(fresh), tuple(better), again)

    def _event(self, where: Place, message: EventMessage) -> Heard:
        stream = self._stream(Key(message.gateway, _EVENTS, message.epoch))
        if message.above is not None:
            stream.absent(message.above, message.seq)
        news = stream.arrive(message.seq, timed=message.clock != "unsynchronised")
        stream.settle(message.settled)
        if news is News.FRESH:
            self.events.append(message)
        return Heard(where, message, again=int(news is News.AGAIN))

    def _stream(self, key: Key) -> Stream:
        found = self.streams.get(key)
        if found is None:
            found = self.streams[key] = Stream(self._floor)
            epochs = self._epochs.setdefault((key.gateway, key.device), [])
            epochs.append(key.epoch)
            if len(epochs) > _EPOCHS:
                old = self.streams.pop(key._replace(epoch=epochs.pop(0)))
                self._closed, self._lost = self._closed + old.closed, self._lost + old.lost
                self._unjudged += old.missing + old.unjudged
        return found

    def rejoin(self) -> None:
        """Say that nobody listened for a while, and the broker kept nothing: that time is not judged."""
        for stream in self.streams.values():
            stream.rejoin()

    def unavailable(self, key: Key, first: int, last: int) -> None:
        """Say that an answer to a replay calls a range gone: it is a gap no longer, but lost."""
        self._stream(key).declare(first, last)
